"""`ai8xc opt`: run passes on the text of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Format, Report, device_option, format_option, load_option, reporting

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.ir.core import Graph
    from ai8xc.ir.passes import Hook


@click.command(
    epilog="""\b
Examples:
  ai8xc opt net.ir --passes fold-batchnorm
  ai8xc opt net.ir --passes "fold-constants,quantize{weight-bits=4}" -o net8.ir
  ai8xc opt net.ir --passes my-pass --load my_passes.py --print-after-change"""
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--passes", default="", metavar="TEXT", help='The passes: "a,b{option=1}".')
@device_option
@load_option
@click.option("--print-after", metavar="PASS", help="Print the graph after this pass, or `all`.")
@click.option("--print-after-change", is_flag=True, help="Print the graph whenever it changed.")
@click.option(
    "--dump-ir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the graph after each pass as `NN-<pass>.ir`.",
)
@click.option("--time", "timed", is_flag=True, help="Print the time of each pass.")
@click.option("--verify-each/--no-verify-each", default=True, show_default=True)
@click.option("--mlir", is_flag=True, help="Print in MLIR's generic syntax.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here, constants beside it as `.npz`, instead of the standard output.",
)
@format_option("text", "json", "sarif")
def command(  # noqa: PLR0913 - one parameter for each option
    *,
    file: Path,
    passes: str,
    device: Device | None,
    load: tuple[Path, ...],
    print_after: str | None,
    print_after_change: bool,
    dump_ir: Path | None,
    timed: bool,
    verify_each: bool,
    mlir: bool,
    output: Path | None,
    form: Format,
) -> None:
    """Run passes on the graph in FILE (`-`: standard input) and print the result.

    Large constants are read from the `.npz` file beside FILE. Without passes the graph is only
    read, verified and printed.
    """
    name = "<stdin>" if str(file) == "-" else file.name
    with reporting(Report(name, form, device, "nothing was written")) as report:
        from ai8xc.ir.hooks import PrintAfter, Timer, VerifyEach

        hooks: list[Hook] = [VerifyEach()] if verify_each else []
        if print_after or print_after_change:
            hooks.append(PrintAfter(_say, print_after or "all", print_after_change))
        timer = Timer()
        dumped: dict[str, bytes] = {}
        if dump_ir:
            hooks.append(_dump(dumped))
        graph = _optimize(report, file, passes, load, [*hooks, timer])
        if dump_ir:
            from ai8xc.files import write_folder

            write_folder(dump_ir, dumped, frozenset({".ir", ".npz"}))
        _write(graph, mlir, output)
        if timed:
            _say(timer.table())


def _optimize(
    report: Report, file: Path, passes: str, load: tuple[Path, ...], hooks: list[Hook]
) -> Graph:
    from ai8xc.files import read_arrays, read_text
    from ai8xc.grammar.reader import read_graph, read_pipeline
    from ai8xc.ir.diag import Rejected, errors
    from ai8xc.ir.passes import PassContext, build, run_pipeline
    from ai8xc.ir.verify import verify
    from ai8xc.plugins import load_passes

    load_passes(load)
    pipeline = build(read_pipeline(passes)) if passes.strip() else []
    report.text = read_text(file)
    beside = file.with_suffix(".npz")
    arrays = read_arrays(beside) if str(file) != "-" and beside.exists() else {}
    graph = read_graph(report.text, report.source, arrays)
    report.diagnostics += verify(graph)
    if errors(report.diagnostics):
        raise Rejected([])
    ctx = PassContext(*[report.device] if report.device else [])
    try:
        return run_pipeline(graph, pipeline, ctx, hooks)
    finally:
        report.diagnostics += ctx.diagnostics


def _dump(files: dict[str, bytes]) -> Hook:
    from ai8xc.files import text_files
    from ai8xc.ir.hooks import DumpIr

    return DumpIr(lambda stem, text, arrays: files.update(text_files(stem, text, arrays)))


def _say(text: str) -> None:
    click.echo(text, err=True)


def _write(graph: Graph, mlir: bool, output: Path | None) -> None:
    from ai8xc.files import text_files, write_files
    from ai8xc.ir.printer import constants, print_graph, print_mlir

    text = print_mlir(graph) if mlir else print_graph(graph)
    if output is None:
        click.echo(text, nl=False)
    else:
        files = text_files(output.stem, text, constants(graph))
        named = {
            Path(name).with_suffix(output.suffix).name if name.endswith(".ir") else name: c
            for name, c in files.items()
        }
        write_files(output.parent, named)
