"""`ai8xc run`: a compiled project on the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import REJECTED, Format, Report, format_option, reporting

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from ai8xc.backends.firmware.run import Engine, ManyReport, Usage
    from ai8xc.backends.firmware.run import Report as Run
    from ai8xc.ir.types import Array

    class Arguments(TypedDict):
        """The arguments of the command, without those of the report."""

        engine: Engine
        given: Path | None
        output: Path | None
        data: Path | None


FILE = click.Path(path_type=Path)
SUFFIXES = (".npy", ".npz")


@click.command(
    epilog="""\b
Examples:
  ai8xc run build
  ai8xc run build --engine registers
  ai8xc run build --input x.npy --output y.npy
  ai8xc run build --data test.npz --format json"""
)
@click.argument("folder", metavar="DIR", type=FILE)
@click.option(
    "--engine",
    type=click.Choice(["registers", "firmware"]),
    default="firmware",
    show_default=True,
    help="The C, compiled for an emulated Cortex-M4, or the register program alone.",
)
@click.option("--input", "given", type=FILE, metavar="FILE", help="Another input, as `.npy`.")
@click.option("--output", type=FILE, metavar="FILE", help="Write the outputs, `.npz` or `.npy`.")
@click.option("--data", type=FILE, metavar="FILE", help="Run the samples `x` of an `.npz` file.")
@format_option("text", "json")
@click.pass_context
def command(
    ctx: click.Context, *, folder: Path, form: Format, **arguments: Unpack[Arguments]
) -> None:
    """Run a compiled project on the emulator.

    DIR is what `ai8xc compile` has written. Prints PASS where the outputs are the known answer,
    and where they first differ. With another input there is no known answer: the firmware
    must then give what the registers give. Leaves with 1 where the run fails.
    """
    data, given, output = arguments["data"], arguments["given"], arguments["output"]
    if data is not None and given is not None:
        raise click.UsageError("`--data` does not go with `--input`")
    if output is not None and output.suffix not in SUFFIXES:
        raise click.UsageError("`--output` takes a name that ends in `.npz` or `.npy`")
    with reporting(Report(folder.name)) as report:
        if data is not None:
            passed = _run_data(folder, form, arguments, report)
        else:
            passed = _run_sample(folder, form, arguments, report)
    if not passed:
        ctx.exit(REJECTED)


def _run_sample(folder: Path, form: Format, arguments: Arguments, report: Report) -> bool:
    from ai8xc.backends.firmware.run import run_project
    from ai8xc.files import read_array

    given, output = arguments["given"], arguments["output"]
    sample = None if given is None else read_array(given)
    run = run_project(folder, arguments["engine"], sample)
    if output is not None and run.outputs:
        _write(output, run.outputs)
    if form == "json":
        click.echo(json.dumps(_record(run)))
    else:
        report.diagnostics += run.diagnostics
        _tell(run)
    return run.passed is not False


def _run_data(folder: Path, form: Format, arguments: Arguments, report: Report) -> bool:
    from ai8xc.backends.firmware.run import run_many
    from ai8xc.files import read_arrays

    data, output = arguments["data"], arguments["output"]
    assert data is not None
    arrays = {name: found.array for name, found in read_arrays(data).items()}
    samples, labels = _samples(arrays)
    run = run_many(folder, arguments["engine"], samples)
    if output is not None and run.passed:
        _write(output, run.outputs)
    record = _many_record(run, labels)
    if form == "json":
        click.echo(json.dumps(record))
    else:
        report.diagnostics += run.diagnostics
        for finding in run.findings:
            click.echo(f"finding: {finding}")
        click.echo(f"ran {record['samples']} samples by the {run.engine} engine")
        if "accuracy" in record:
            right, share = record["correct"], record["accuracy"]
            click.echo(f"accuracy: {100 * float(str(share)):.2f} % ({right} of {len(samples)})")
        if not run.passed:
            click.echo(f"FAIL: {record['failure']}")
    return run.passed


def _samples(arrays: dict[str, Array]) -> tuple[Array, Array | None]:
    """Return samples and labels of a data file; raises `Rejected` where they do not fit."""
    from ai8xc.backends.firmware.pack_input import bad_input

    if "x" not in arrays:
        raise bad_input("the file has no array `x`")
    samples, labels = arrays["x"], arrays.get("y")
    if samples.ndim == 0 or not len(samples):
        raise bad_input("there are no samples in `x`")
    if labels is None:
        return samples, None
    labels = labels.reshape(-1)
    if len(labels) != len(samples):
        raise bad_input(f"there are {len(samples)} samples in `x` and {len(labels)} labels in `y`")
    return samples, labels


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
    if run.cycles is not None:
        click.echo(f"accelerator: {run.cycles} cycles in {len(run.layers)} layers")
    if run.passed is None:
        click.echo("no answer is known for this input")
    elif run.passed:
        click.echo("PASS")
    else:
        click.echo(f"FAIL: {_why(run)}")
        if run.suspect:
            click.echo(f"first wrong: {run.suspect}")


def _why(run: Run) -> str:
    return str(run.difference or run.failure or "findings change the results")


def _tell_usage(usage: Usage) -> None:
    click.echo("instructions:")
    for name, count in usage.instructions.items():
        click.echo(f"  {name:20} {count:9}")
    click.echo(f"bus: {usage.writes} writes, {usage.reads} reads")
    click.echo(
        f"flash: {usage.flash} bytes, {usage.network_flash} of them `cnn.c`; RAM: {usage.ram} bytes"
    )


def _record(run: Run) -> dict[str, object]:
    """Return what a machine may read of a run."""
    from dataclasses import asdict

    from ai8xc.ir.report_json import to_record

    return {
        "device": run.device,
        "engine": run.engine,
        "passed": run.passed,
        "difference": asdict(run.difference) if run.difference else None,
        "first_wrong_layer": run.suspect or None,
        "failure": None if run.passed is not False else _why(run),
        "outputs": [{"shape": list(o.shape), "bits": 8 * o.itemsize} for o in run.outputs],
        "cycles": run.cycles,
        "layers": [
            {"index": layer.index, "operator": layer.operator, "cycles": layer.cycles}
            for layer in run.layers
        ],
        "firmware": asdict(run.usage) if run.usage else None,
        "printed": run.printed,
        "findings": [str(finding) for finding in run.findings],
        "diagnostics": [to_record(diagnostic) for diagnostic in run.diagnostics],
    }


def _many_record(run: ManyReport, labels: Array | None) -> dict[str, object]:
    from ai8xc.ir.report_json import to_record

    samples = len(run.outputs[0]) if run.outputs else 0
    record: dict[str, object] = {
        "device": run.device,
        "engine": run.engine,
        "passed": run.passed,
        "failure": None if run.passed else run.failure or "findings change the results",
        "samples": samples,
    }
    if labels is not None and run.passed:
        correct = int((run.classes == labels).sum())
        record |= {"correct": correct, "accuracy": correct / samples}
    record["findings"] = [str(finding) for finding in run.findings]
    record["diagnostics"] = [to_record(diagnostic) for diagnostic in run.diagnostics]
    return record
