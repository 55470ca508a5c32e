"""`ai8xc rules`: the list of everything that can be wrong."""

from __future__ import annotations

import json
from typing import Literal

import click

from ai8xc.cli.common import Report, format_option, reporting


@click.command()
@format_option("text", "json")
def command(*, form: Literal["text", "json"]) -> None:
    """List the rules: id, severity, message."""
    with reporting(Report("")):
        from ai8xc.ir.diag import rules
        from ai8xc.plugins import load_rules

        load_rules()
        known = [rule for _, rule in sorted(rules().items())]
        if form == "json":
            records = [
                {
                    "id": rule.id,
                    "severity": rule.severity,
                    "message": rule.message,
                    "explanation": rule.explanation,
                }
                for rule in known
            ]
            click.echo(json.dumps({"rules": records}, ensure_ascii=False))
            return
        width = max(len(rule.id) for rule in known)
        for rule in known:
            click.echo(f"{rule.id:<{width}}  {rule.severity:<7}  {rule.message}")
