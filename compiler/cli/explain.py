"""`ai8xc explain ID`: the manual for one rule."""

from __future__ import annotations

import difflib
import textwrap

import click

from ai8xc.cli.common import Report, reporting


@click.command(
    epilog="""\b
Example:
  ai8xc explain IR010"""
)
@click.argument("rule_id", metavar="ID")
def command(*, rule_id: str) -> None:
    """Say what the rule ID of a finding means and what to do."""
    with reporting(Report("")):
        from ai8xc.ir.diag import rules
        from ai8xc.plugins import load_rules

        load_rules()
        rule = rules().get(rule_id.upper())
        if rule is None:
            close = difflib.get_close_matches(rule_id.upper(), rules(), 3)
            hint = f"; did you mean {' or '.join(close)}?" if close else "; see `ai8xc rules`"
            raise click.BadParameter(f"there is no rule `{rule_id}`{hint}", param_hint="ID")
        click.echo(f"{rule.severity}[{rule.id}]: {rule.message}\n")
        click.echo(textwrap.fill(rule.explanation, 88))
