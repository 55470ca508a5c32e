"""`ai8xc inspect`: what a model became, or what a compiled project holds, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ai8xc.cli.common import (
    Format,
    Report,
    device_option,
    format_option,
    html_option,
    load_option,
    reporting,
)
from ai8xc.cli.data import calibration_option, read_calibration, read_sample, sample_option

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from ai8xc.device import Device
    from ai8xc.driver import Options
    from ai8xc.ir.core import Graph

    class Arguments(TypedDict):
        """The arguments of the command, without those of the report."""

        calibration: Path | None
        sample: Path | None
        load: tuple[Path, ...]
        html: Path | None


KEYS = ("tool", "name", "device", "network", "memory", "layers", "cycles", "least_cycles")

MODES = (("readahead", "reads ahead"), ("calcx4", "four at once"))
"""Modes of layers, and what the table says."""

NAME_WIDTH = 40

NUMBERS = (0, 5, 6, 7)
"""Columns of the table of layers that are aligned to the right."""


@click.command(
    "inspect",
    epilog="""\b
Examples:
  ai8xc inspect net.onnx --device max78002
  ai8xc inspect build --format json
  ai8xc inspect net.onnx --html report.html""",
)
@click.argument("source", metavar="MODEL|DIR", type=click.Path(path_type=Path))
@device_option("max78000")
@calibration_option
@sample_option
@load_option
@html_option
@format_option("text", "json")
def command(*, source: Path, device: Device, form: Format, **arguments: Unpack[Arguments]) -> None:
    """Show layers, memory and cycles of a model or of a compiled project.

    A model is compiled, and nothing is written; a project is what its manifest says, for the
    device that it was compiled for. The page of a project shows the report that was compiled with
    it (`compile --emit c,report`).
    """
    with reporting(Report(source.name)) as report:
        manifest: Mapping[str, Any]
        if source.is_dir():
            from ai8xc.backends.firmware.project import edited_files, read_manifest

            manifest = read_manifest(source)
            if arguments["html"]:
                from ai8xc.report.files import report_of, write_page

                write_page(report_of(source), arguments["html"])
            report.diagnostics += edited_files(source, manifest)
        else:
            manifest = _compiled(source, device, arguments, report)
        shown = {key: manifest.get(key) for key in KEYS}
        shown |= {"replaced": manifest["replaced"]} if "replaced" in manifest else {}
        click.echo(json.dumps(shown) if form == "json" else "\n".join(_tables(shown)))


def _compiled(
    model: Path, device: Device, arguments: Arguments, report: Report
) -> Mapping[str, Any]:
    """Return the manifest of the project that the model would give."""
    from ai8xc.driver import Options, compile_graph, load
    from ai8xc.files import MANIFEST
    from ai8xc.ir.diag import Rejected

    options = Options(
        device=device.name,
        sample=read_sample(arguments["sample"]),
        calibration=read_calibration(arguments["calibration"]),
        load=arguments["load"],
        emit=frozenset({"c"}),
        sources=(model,),
    )
    try:
        graph = load(model)
        if arguments["html"]:
            _write_html(graph, options, arguments["html"])
        result = compile_graph(graph, options)
    except Rejected as rejected:
        raise Rejected(rejected.diagnostics, unusable=True) from None
    report.diagnostics += result.diagnostics
    found: Mapping[str, Any] = json.loads(result.files[MANIFEST])
    return found


def _write_html(graph: Graph, options: Options, target: Path) -> None:
    from dataclasses import replace

    from ai8xc.report.files import examine, write_page

    quiet = replace(options, emit=frozenset())
    write_page(examine(graph, options.sources[0].name, quiet), target)


def _tables(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of all tables."""
    yield f"{shown['name']} on {shown['device']}"
    yield ""
    total = (shown["cycles"] or {}).get("total")
    rows = [_row(layer, total) for layer in shown["layers"]]
    head = ("", "layer", "operation", "output", "weights", "cycles", "", "a cycle", "mostly")
    yield from _aligned([head, *rows])
    memory = shown["memory"]
    yield ""
    for what in ("weight", "bias"):
        used, there = memory[f"{what}_bytes"], memory[f"{what}_bytes_available"]
        yield f"{what} memory  {used} of {there} bytes ({100 * used / there:.1f} %)"
    if shown["cycles"]:
        cycles = shown["cycles"]
        rate = cycles["macs"] / cycles["total"]
        peak = cycles["peak_macs_per_cycle"]
        most = f"{100 * rate / peak:.1f} % of the {peak} that the device can do"
        text = f"cycles  {cycles['total']}, {cycles['macs']} multiplications"
        yield f"{text} ({rate:.1f} a cycle, {most})"
        weights, inputs = cycles["weight_words"], cycles["input_words"]
        yield f"to load  {weights} words of weights, {inputs} of input"
    elif shown.get("least_cycles"):
        yield f"cycles  at least {shown['least_cycles']}: one output a cycle, or four at once"
        yield f"        reading comes on top; no measured cycles of {shown['device']} are known"
    if "replaced" in shown:
        yield ""
        both = [shown["replaced"][when] for when in ("before", "after")]
        rows = [
            (key.replace("_", " "), *("-" if one[key] is None else str(one[key]) for one in both))
            for key in both[0]
        ]
        yield from _aligned([("placed anew", "before", "after"), *rows], (1, 2))


def _row(layer: Mapping[str, Any], total: int | None) -> tuple[str, ...]:
    name = ", ".join(layer["nodes"]) or layer["name"]
    short = name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"
    cycles = layer.get("cycles")
    least = layer.get("least_cycles")
    share = f"{100 * cycles / total:.0f} %" if cycles is not None and total else ""
    return (
        str(layer["number"]),
        short,
        ", ".join([layer["operation"], *(told for mode, told in MODES if layer.get(mode))]),
        "x".join(map(str, layer["shape"])),
        f"{layer['weight_bits']} bits" if layer["weight_bits"] else "",
        str(cycles) if cycles is not None else f">= {least}" if least is not None else "",
        share,
        f"{layer['macs'] / cycles:.1f}" if cycles else "",
        layer.get("dominated_by") or "",
    )


def _aligned(rows: Sequence[Sequence[str]], numbers: Sequence[int] = NUMBERS) -> Iterator[str]:
    """Yield rows as columns; those of numbers are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
