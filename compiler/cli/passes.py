"""`ai8xc passes`: the list of passes and named pipelines."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ai8xc.cli.common import Report, format_option, load_option, reporting

if TYPE_CHECKING:
    from ai8xc.ir.passes import Pass


@click.command(
    epilog="""\b
Examples:
  ai8xc passes
  ai8xc passes --load my_passes.py --format json"""
)
@load_option
@format_option("text", "json")
def command(*, load: tuple[Path, ...], form: Literal["text", "json"]) -> None:
    """List the passes and the named pipelines.

    Each pass is shown with its options and their defaults, and with what it needs and gives.
    """
    with reporting(Report("")):
        from ai8xc.ir.passes import passes
        from ai8xc.passes.pipelines import PIPELINES
        from ai8xc.plugins import load_backends, load_passes

        load_passes()
        load_backends(load)
        records = [_record(cls) for _, cls in sorted(passes().items())]
        if form == "json":
            click.echo(json.dumps({"passes": records, "pipelines": dict(PIPELINES)}))
            return
        click.echo("\n\n".join(_entry(record) for record in records))
        for name, text in PIPELINES.items():
            click.echo(f"\npipeline {name}\n    {text.replace(',', ', ')}")


def _record(cls: type[Pass]) -> dict[str, object]:
    options = [
        {"name": f.name.replace("_", "-"), "default": f.default}
        for f in dataclasses.fields(cls)  # type: ignore[arg-type] # passes are dataclasses
    ]
    return {
        "name": cls.name,
        "summary": (inspect.getdoc(cls) or "").partition("\n")[0],
        "options": options,
        "needs": sorted(cls.needs),
        "gives": sorted(cls.gives),
    }


def _entry(record: dict[str, object]) -> str:
    lines = [str(record["name"]), f"    {record['summary']}"]
    options = record["options"]
    if isinstance(options, list) and options:
        shown = ", ".join(f"{o['name']}={_shown(o['default'])}" for o in options)
        lines.append(f"    options: {shown}")
    facts = []
    for key in ("needs", "gives"):
        names = record[key]
        if isinstance(names, list) and names:
            facts.append(f"{key} {', '.join(names)}")
    return "\n".join([*lines, *([f"    {'; '.join(facts)}"] if facts else [])])


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else repr(default)
