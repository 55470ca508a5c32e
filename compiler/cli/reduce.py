"""`ai8xc reduce`: the smallest part of a model that fails in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Report, device_option, reporting, say

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.reducer import Fails


@click.command(
    epilog="""\b
Examples:
  ai8xc reduce net.onnx -o small.onnx --fails-with WMEM
  ai8xc reduce crash.ir -o small.ir --crash
  ai8xc reduce net.ir -o small.ir --while "grep -q transpose {}\""""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of the smaller model, of the same kind.",
)
@click.option("--fails-with", "rule", metavar="RULE", help="Keep that this rule is broken.")
@click.option("--crash", is_flag=True, help="Keep how and where the compiler breaks.")
@click.option(
    "--while",
    "condition",
    metavar="COMMAND",
    help="Keep that this command ends with 0; {} in it is the model.",
)
@device_option("max78000")
def command(
    *,
    model: Path,
    output: Path,
    rule: str | None,
    crash: bool,
    condition: str | None,
    device: Device,
) -> None:
    """Shrink a failing model while its failure stays the same.

    MODEL is an `.onnx` model or the text of a graph (`.ir`). Without an option all rules that it
    breaks, or the way in which the compiler breaks, are kept. The result is the same on each run.
    """
    if sum((rule is not None, crash, condition is not None)) > 1:
        raise click.UsageError("give one of --fails-with, --crash and --while")
    with reporting(Report(model.name, device=device)):
        from ai8xc.files import write_files
        from ai8xc.reducer import reduced

        found = reduced(model, _question(model, device.name, rule, crash, condition))
        write_files(
            output.parent,
            {output.with_suffix(suffix).name: data for suffix, data in found.items()},
        )
    say(f"wrote {sum(map(len, found.values())):,} bytes to `{output}`")


def _question(
    model: Path, device: str, rule: str | None, crash: bool, condition: str | None
) -> Fails:
    """Return what must stay true."""
    from ai8xc.ir.diag import Rejected
    from ai8xc.ir.loc import Loc
    from ai8xc.reducer import NO_FAILURE, breaks, command_succeeds, fails_like, failure

    if condition is not None:
        return command_succeeds(condition)
    if rule is not None:
        return breaks(rule.upper(), device)
    found = failure(model, device)
    if not (found.crash or (found.rules and not crash)):
        raise Rejected(
            [NO_FAILURE.at(Loc(model.name), name=model.name, why=str(found))], unusable=True
        )
    return fails_like(found, device)
