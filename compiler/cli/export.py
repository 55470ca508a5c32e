"""`ai8xc export`: a trained network as a file for the compiler or other tools."""

from __future__ import annotations

from pathlib import Path

import click

from ai8xc.cli.common import Report, reporting


@click.command(
    epilog="""\b
Examples:
  ai8xc export runs/mnist -o mnist.pt2
  ai8xc export runs/mnist -o mnist-q.pth.tar
  ai8xc export runs/mnist -o test.npz"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The file; its suffix says what it is.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another checkpoint than the best of the run.",
)
def command(*, run: Path, output: Path, checkpoint: Path | None) -> None:
    """Export what was trained in the folder RUN.

    `.pt2` is a torch program with the integers of the device, which `ai8xc compile` takes as they
    are; `.onnx` the network in real numbers; `.pth.tar` a checkpoint with integers for the
    vendor's tools; `.safetensors` the weights alone; `.npz` the test samples and labels.
    """
    with reporting(Report(run.name, effect="nothing was written")):
        from ai8xc.cli.training import absent_libraries

        with absent_libraries():
            from ai8xc.training.trainer.exporting import export_run
            from ai8xc.training.trainer.runs import open_run

            export_run(open_run(run), output, checkpoint)
