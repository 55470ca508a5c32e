"""Show that trainer, interpreter and firmware say the same about every test image.

    python examples/train/same_predictions.py runs/mnist [--engine registers] [--project build]

RUN is the folder of a finished training run. Its network is exported with the integers of the
device and compiled (or was already, into `--project`); the firmware then runs on the emulator for
each image of the test split. Ends with 1 and the first image at fault where they differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import ai8xc
from ai8xc.backends.firmware.run import run_many
from ai8xc.driver import load
from ai8xc.ir.interp import run as interpret
from ai8xc.training.layers import set_mode
from ai8xc.training.trainer.exporting import exported
from ai8xc.training.trainer.runs import Run, open_run


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Note how long something takes."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def answers(
    run: Run, x: np.ndarray, engine: str, project: Path | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Return the outputs of each of the three for all images, and the seconds that they took."""
    found: dict[str, np.ndarray] = {}
    seconds: dict[str, float] = {}
    with torch.no_grad(), timed("trainer", seconds):
        net = set_mode(run.network(), "simulate")
        found["trainer"] = net(torch.from_numpy(x * 128)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "network.pt2")
        program.write_bytes(exported(run, program.name))
        graph = load(program)
        with timed("interpreter", seconds):
            integers = np.rint(x * 128).astype(np.int8)
            (found["interpreter"],) = interpret(graph, {graph.inputs[0].name: integers})
        if project is None:
            project = Path(folder, "project")
            ai8xc.compile(program, run.config.device, sample=x[0]).write(project)
        with timed(engine, seconds):
            device = run_many(project, engine, x)
    if not device.passed:
        sys.exit(f"the {engine} engine fails: {device.failure or device.findings}")
    found[engine] = device.outputs[0]
    return found, seconds


def difference(found: Mapping[str, np.ndarray]) -> str | None:
    """Return where two answers differ first, None where all numbers are equal."""
    wanted = found["trainer"].reshape(len(found["trainer"]), -1)
    for name, outputs in found.items():
        wrong = np.argwhere((outputs.reshape(wanted.shape) != wanted).any(1))
        if len(wrong):
            image = int(wrong[0][0])
            return f"{name} and trainer differ for {len(wrong)} images, first for image {image}"
    return None


def main() -> None:
    """Compare, and print the accuracy of each of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--engine", choices=["firmware", "registers"], default="firmware")
    parser.add_argument("--project", type=Path, help="compiled from this run")
    parser.add_argument("--images", type=int, help="only so many images")
    arguments = parser.parse_args()
    run = open_run(arguments.run)
    test = run.data().test
    x, y = test.x[: arguments.images], np.asarray(test.y)[: arguments.images]
    found, seconds = answers(run, x, arguments.engine, arguments.project)
    for name, outputs in found.items():
        right = int((outputs.reshape(len(y), -1).argmax(1) == y).sum())
        print(f"{name:<12}{right} of {len(y)} right, {seconds[name]:.1f} s")
    told = difference(found)
    if told:
        sys.exit(told)
    print("all outputs are equal, number by number")


if __name__ == "__main__":
    main()
