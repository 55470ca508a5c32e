"""`ai8xc export`: a trained network as a file for the compiler or other tools."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ai8xc.cli.common import Report, reporting
from ai8xc.cli.training import absent_libraries, checkpoint_option, file_option

if TYPE_CHECKING:
    from ai8xc.training.trainer.runs import Run

DESCRIPTIONS: Final = (".yaml", ".yml")


@click.command(
    epilog="""\b
Examples:
  ai8xc export runs/mnist -o mnist.pt2
  ai8xc export runs/mnist -o mnist.yaml
  ai8xc export runs/mnist -o test.npz"""
)
@click.argument("run", type=click.Path(path_type=Path))
@file_option("The file; its suffix says what it is.")
@checkpoint_option("Another checkpoint than the best of the run.")
def command(*, run: Path, output: Path, checkpoint: Path | None) -> None:
    """Export what was trained in the folder RUN.

    `.pt2` is a torch program with the integers of the device, which `ai8xc compile` takes as they
    are; `.onnx` the network in real numbers, `.qdq.onnx` with those integers; `.pth.tar` a
    checkpoint with integers for the vendor's tools; `.yaml` a description of the placed network for
    them, with the checkpoint that goes with it beside it; `.safetensors` the weights alone; `.npz`
    the test samples and labels.
    """
    with reporting(Report(run.name, effect="nothing was written")) as report, absent_libraries():
        from ai8xc.files import write_files
        from ai8xc.training.trainer.exporting import exported
        from ai8xc.training.trainer.runs import open_run

        opened = open_run(run)
        if output.suffix in DESCRIPTIONS:
            files = _described(opened, output, checkpoint, report)
        else:
            files = {output.name: exported(opened, output.name, checkpoint)}
        write_files(output.parent, files)


def _described(run: Run, output: Path, checkpoint: Path | None, report: Report) -> dict[str, bytes]:
    """Return `NAME.yaml` and `NAME.pth.tar`, as `ai8xc compile --emit yaml` writes them."""
    from ai8xc.driver import Options, compile_graph, load
    from ai8xc.training.trainer.exporting import exported

    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, f"{output.stem}.pt2")
        program.write_bytes(exported(run, program.name, checkpoint))
        graph = load(program)
    result = compile_graph(graph, Options(run.config.device, emit=frozenset({"yaml"})))
    report.diagnostics += result.diagnostics
    contents = {Path(name).suffix: content for name, content in result.files.items()}
    ends = {".yaml": output.suffix, ".tar": ".pth.tar"}
    return {f"{output.stem}{end}": contents[kind] for kind, end in ends.items()}
