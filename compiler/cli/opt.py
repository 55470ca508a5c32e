"""`ai8xc opt`: run passes on the text of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import (
    Format,
    Report,
    device_option,
    format_option,
    load_option,
    reporting,
    say,
)
from ai8xc.cli.data import DataArguments, data_options, rerun
from ai8xc.cli.headings import OUTPUT, TARGET, HeadedCommand, option
from ai8xc.cli.watch import Watch, WatchArguments, watch_options

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.device import Device
    from ai8xc.ir.core import Graph


class Arguments(WatchArguments, DataArguments):
    """The arguments of the command, without those of the report."""

    passes: str
    load: tuple[Path, ...]
    mlir: bool
    output: Path | None


@click.command(
    cls=HeadedCommand,
    epilog="""\b
Examples:
  ai8xc opt net.ir --passes fold-batch-norm
  ai8xc opt net.ir --passes "fold-constants,quantize{weight-bits=4}" -o net4.ir
  ai8xc opt net.ir --passes my-pass --load my_passes.py --print-after-change""",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@option(TARGET, "--passes", default="", metavar="TEXT", help='The passes: "a,b{option=1}".')
@device_option()
@load_option
@data_options
@watch_options
@option(OUTPUT, "--mlir", is_flag=True, help="Print in MLIR's generic syntax.")
@option(
    OUTPUT,
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here, constants beside it as `.npz`, instead of the standard output.",
)
@format_option("text", "json", "sarif")
def command(
    *, file: Path, device: Device | None, form: Format, **arguments: Unpack[Arguments]
) -> None:
    """Run passes on the text of a graph.

    FILE is `.ir` text (`-`: the standard input); the graph that the passes return is printed.
    Large constants are read from the `.npz` file beside FILE. Without passes the graph is only
    read, verified and printed.
    """
    name = "<stdin>" if str(file) == "-" else file.name
    with reporting(Report(name, form, device, "nothing was written")) as report:
        from ai8xc.cli.data import calibration, sample
        from ai8xc.driver import Options, compile_graph

        watch = Watch(arguments)
        report.rerun = rerun(arguments, arguments["load"])
        options = Options(
            device=device.name if device else None,
            pipeline=arguments["passes"],
            sample=sample(arguments),
            calibration=calibration(arguments),
            load=arguments["load"],
            hooks=watch.hooks,
            prove=say if arguments["prove"] else None,
        )
        graph = _read(report, file)
        watch.start(graph)
        result = compile_graph(graph, options)
        report.diagnostics += result.diagnostics
        watch.finish()
        _write(result.graph, arguments["mlir"], arguments["output"])


def _read(report: Report, file: Path) -> Graph:
    """Return the graph in a file; what the verifier finds goes to the report."""
    from ai8xc.files import arrays_beside, read_text
    from ai8xc.grammar.reader import read_graph
    from ai8xc.ir.diag import Rejected, errors
    from ai8xc.ir.verify import verify
    from ai8xc.plugins import load_dialects

    load_dialects()
    report.text = read_text(file)
    graph = read_graph(report.text, report.source, arrays_beside(file))
    report.diagnostics += verify(graph)
    if errors(report.diagnostics):
        raise Rejected([])
    return graph


def _write(graph: Graph, mlir: bool, output: Path | None) -> None:
    from ai8xc.files import pack_arrays, write_files
    from ai8xc.ir.printer import constants, print_graph, print_mlir

    text = print_mlir(graph) if mlir else print_graph(graph)
    if output is None:
        click.echo(text, nl=False)
        return
    files = {output.name: text.encode()}
    if arrays := constants(graph):
        files[output.with_suffix(".npz").name] = pack_arrays(arrays)
    write_files(output.parent, files)
