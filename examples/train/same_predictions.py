"""Show that trainer, interpreter and firmware say the same about every test image.

    python examples/train/same_predictions.py runs/mnist [--engine registers]

RUN is the folder of a finished training run. Its network is exported with the integers of the
device and compiled; the firmware then runs on the emulator for each image of the test split.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

import ai8xc
from ai8xc.backends.firmware.run import run_many
from ai8xc.driver import load
from ai8xc.ir.interp import run
from ai8xc.training.layers import set_mode
from ai8xc.training.trainer.exporting import exported
from ai8xc.training.trainer.runs import open_run


def main() -> None:
    """Compare, and print the accuracy of each of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--engine", choices=["firmware", "registers"], default="firmware")
    parser.add_argument("--images", type=int, help="only so many images")
    arguments = parser.parse_args()
    finished = open_run(arguments.run)
    test = finished.data().test
    x, y = test.x[: arguments.images], np.asarray(test.y)[: arguments.images]
    with torch.no_grad():
        trainer = set_mode(finished.network(), "simulate")(torch.from_numpy(x * 128)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        program, project = Path(folder, "network.pt2"), Path(folder, "project")
        program.write_bytes(exported(finished, program.name))
        graph = load(program)
        (integers,) = run(graph, {graph.inputs[0].name: np.rint(x * 128).astype(np.int8)})
        ai8xc.compile(program, finished.config.device, sample=x[0]).write(project)
        device = run_many(project, arguments.engine, x)
        outputs = device.outputs[0].reshape(trainer.shape)
    assert device.passed, device.findings
    np.testing.assert_array_equal(integers, trainer)
    np.testing.assert_array_equal(outputs, trainer)
    for name, found in (("trainer", trainer), ("interpreter", integers), ("firmware", outputs)):
        right = int((found.reshape(len(y), -1).argmax(1) == y).sum())
        print(f"{name:<12}{right} of {len(y)} right")
    print("all outputs are equal, number by number")


if __name__ == "__main__":
    main()
