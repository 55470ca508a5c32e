"""What `ai8xc check --fix` does: write the cured model and say what was changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Report, reporting
from ai8xc.cli.headings import OUTPUT, option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ai8xc.frontend.onnx_fix import Fix
    from ai8xc.ir.report_model import Survey

fix_option = option(
    OUTPUT,
    "--fix",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.onnx",
    help="Write the model with all mechanical cures applied.",
)

EFFECTS = {
    "exact": "same outputs",
    "host": "left to the core",
    "retrain": "train again",
}
"""What the effect of a cure means, for people."""


def write_fixed(model: Path, out: Path, surveys: Sequence[Survey]) -> list[Fix]:
    """Write the cured model; leaves with 2 where that cannot be done."""
    if model.suffix.lower() != ".onnx":
        raise click.UsageError("`--fix` changes ONNX models")
    with reporting(Report(model.name)):
        from ai8xc.files import write_files
        from ai8xc.frontend.onnx_fix import fix_onnx

        findings = [finding for survey in surveys for finding in survey.diagnostics]
        content, done = fix_onnx(model, findings)
        write_files(out.parent, {out.name: content})
    return done


def tell_fixes(out: Path, done: Sequence[Fix], left: Sequence[Survey]) -> None:
    """Print what was changed, and what is still wrong."""
    click.echo(f"\n`{out.name}`: {len(done)} change{'s' if len(done) != 1 else ''}")
    width = max((len(EFFECTS[fix.effect]) for fix in done), default=0)
    for fix in done:
        click.echo(f"  {EFFECTS[fix.effect]:<{width}}  `{fix.node}`: {fix.what}")
    for survey in left:
        count = sum(finding.severity == "error" for finding in survey.diagnostics)
        rest = "fits" if survey.fits else f"{count} error{'s' if count != 1 else ''} left"
        click.echo(f"  {survey.device}: {rest}")
