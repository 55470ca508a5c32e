"""`ai8xc explain ID`: the manual for one rule."""

from __future__ import annotations

import difflib
import textwrap
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Report, reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai8xc.ir.diag import Rule

WIDTH = 88


@click.command(
    epilog="""\b
Examples:
  ai8xc explain IR010
  ai8xc explain conv2d-kernel"""
)
@click.argument("rule_id", metavar="ID")
def command(*, rule_id: str) -> None:
    """Say what the rule ID of a finding means, what each device allows, and what to do."""
    with reporting(Report("")):
        from ai8xc.ir.diag import rules
        from ai8xc.plugins import load_rules

        load_rules()
        rule = rules().get(rule_id.upper())
        if rule is None:
            close = difflib.get_close_matches(rule_id.upper(), rules(), 3)
            hint = f"; did you mean {' or '.join(close)}?" if close else "; see `ai8xc rules`"
            raise click.BadParameter(f"there is no rule `{rule_id}`{hint}", param_hint="ID")
        click.echo("\n".join(page(rule)))


def page(rule: Rule) -> Iterator[str]:
    """Yield the lines of the manual about one rule."""
    from ai8xc.device import device_names, load_device
    from ai8xc.rules.examples import EXAMPLES
    from ai8xc.rules.limits import general, limit_on

    yield f"{rule.severity}[{rule.id}]: {general(rule.message)}"
    yield ""
    yield textwrap.fill(rule.explanation, WIDTH)
    limits = [(name, limit_on(rule, load_device(name))) for name in device_names()]
    if any(limit for _, limit in limits):
        yield ""
        yield from (f"  {name}: {limit}" for name, limit in limits)
    if rule.id in EXAMPLES:
        wrong, right = EXAMPLES[rule.id]
        yield from ("", f"  breaks it: {wrong}", f"  legal:     {right}")
    details = (("cure", rule.cure), ("level", rule.level), ("source", rule.source))
    given = [(name, text) for name, text in details if text]
    if given:
        yield ""
        yield from (f"  {name}: {text}" for name, text in given)
