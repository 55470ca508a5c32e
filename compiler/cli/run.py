"""`ai8xc run`: a compiled project on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import REJECTED, Report, reporting

if TYPE_CHECKING:
    from ai8xc.backends.firmware.run import Engine, Usage
    from ai8xc.backends.firmware.run import Report as Run
    from ai8xc.ir.types import Array

FILE = click.Path(path_type=Path)


@click.command(
    epilog="""\b
Examples:
  ai8xc run build
  ai8xc run build --engine firmware
  ai8xc run build --input x.npy --output y.npy
  ai8xc run build --data test.npz"""
)
@click.argument("folder", metavar="DIR", type=FILE)
@click.option(
    "--engine",
    type=click.Choice(["registers", "firmware"]),
    default="registers",
    show_default=True,
    help="The register program, or the C compiled for an emulated Cortex-M4.",
)
@click.option("--input", "given", type=FILE, metavar="FILE", help="Another input, as `.npy`.")
@click.option("--output", type=FILE, metavar="FILE", help="Write the outputs, `.npz` or `.npy`.")
@click.option("--data", type=FILE, metavar="FILE", help="Run the samples `x` of an `.npz` file.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    folder: Path,
    engine: Engine,
    given: Path | None,
    output: Path | None,
    data: Path | None,
) -> None:
    """Run a compiled project on the emulator.

    DIR is what `ai8xc compile` has written. Prints PASS where the outputs are the known answer,
    and the first value that is not. With another input there is no known answer: the firmware
    must then give what the registers give. Leaves with 1 where the run fails.
    """
    if data is not None and (given is not None or engine == "firmware"):
        raise click.UsageError("`--data` goes with neither `--input` nor `--engine firmware`")
    with reporting(Report(folder.name)) as report:
        from ai8xc.backends.firmware.run import run_project
        from ai8xc.files import read_array

        if data is not None:
            _run_data(folder, data, output)
            return
        sample = None if given is None else read_array(given)
        run = run_project(folder, engine, sample)
        report.diagnostics += run.diagnostics
        if output is not None:
            _write(output, run.outputs)
        _tell(run)
    if run.passed is False:
        ctx.exit(REJECTED)


def _run_data(folder: Path, data: Path, output: Path | None) -> None:
    import numpy as np

    from ai8xc.backends.firmware.pack_input import bad_input
    from ai8xc.backends.firmware.run import run_many
    from ai8xc.files import read_arrays

    arrays = {name: found.array for name, found in read_arrays(data).items()}
    if "x" not in arrays:
        raise bad_input("the file has no array `x`")
    found = run_many(folder, arrays["x"])
    outputs = [np.stack(values) for values in zip(*found, strict=True)]
    if output is not None:
        _write(output, outputs)
    click.echo(f"ran {len(found)} samples")
    if "y" in arrays and outputs and len(arrays["y"]) == len(found):
        guesses = outputs[0].reshape(len(found), -1).argmax(axis=1)
        right = int((guesses == arrays["y"].reshape(-1)).sum())
        click.echo(f"{right} of {len(found)} in the right class")


def _write(path: Path, outputs: list[Array]) -> None:
    """Write one output as `.npy`, or all of them as `.npz`."""
    import io

    import numpy as np

    from ai8xc.files import pack_arrays, write_files
    from ai8xc.ir.core import Data

    if path.suffix == ".npy":
        if len(outputs) != 1:
            raise click.UsageError(f"there are {len(outputs)} outputs: `.npz` holds them")
        content = io.BytesIO()
        np.save(content, outputs[0])
        write_files(path.parent, {path.name: content.getvalue()})
        return
    named = {f"output_{i}": Data(values) for i, values in enumerate(outputs)}
    write_files(path.parent, {path.name: pack_arrays(named)})


def _tell(run: Run) -> None:
    if run.printed:
        click.echo(run.printed, nl=False)
    for finding in run.findings:
        click.echo(f"finding: {finding}")
    if run.usage:
        _tell_usage(run.usage)
    cycles = [layer.cycles for layer in run.layers]
    if cycles and None not in cycles:
        click.echo(f"cycles: {sum(c or 0 for c in cycles)} in {len(cycles)} layers")
    if run.passed is None:
        click.echo("no answer is known for this input")
    elif run.passed:
        click.echo("PASS")
    else:
        click.echo(f"FAIL: {run.difference or run.failure or 'findings change the results'}")


def _tell_usage(usage: Usage) -> None:
    click.echo("instructions:")
    for name, count in usage.instructions.items():
        click.echo(f"  {name:20} {count:9}")
    click.echo(f"accelerator: {usage.writes} writes, {usage.reads} reads")
    click.echo(
        f"flash: {usage.flash} bytes, {usage.network_flash} of them `cnn.c`; RAM: {usage.ram} bytes"
    )
