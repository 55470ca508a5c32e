"""`ai8xc inspect`: what a model became, or what a compiled project holds, as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from ai8xc.cli.tables import project_tables

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
        click.echo(json.dumps(shown) if form == "json" else "\n".join(project_tables(shown)))


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
