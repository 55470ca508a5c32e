"""What the vendor publishes of its MNIST network on a board: class scores and cycles."""

import json
import re

import golden_corpus
import numpy as np
import pytest
from click.testing import CliRunner

from ai8xc.backends.firmware.build import ARM, RISCV
from ai8xc.backends.firmware.run import run_project
from ai8xc.cli.main import cli

SCORES = [-77992, 93377, 45484, 29850, -36248, -130974, -272399, 416616, -148783, 25073]
CYCLES = 70_157

pytestmark = [
    pytest.mark.skipif(golden_corpus.golden_folder() is None, reason=golden_corpus.NO_VECTORS),
    pytest.mark.skipif(
        ARM.missing or RISCV.missing, reason="the compilers for Arm and RISC-V are not installed"
    ),
]


@pytest.mark.parametrize("core", [(), ("--riscv",)], ids=["arm", "riscv"])
def test_published_result(core, tmp_path):
    inputs = golden_corpus.golden_folder() / "inputs"
    with np.load(inputs / "samples" / "sample_mnist.npz") as stored:
        np.save(tmp_path / "sample.npy", stored[stored.files[0]])
    checkpoint = inputs / "checkpoints" / "trained__ai85-mnist-qat8-q.pth.tar"
    folder = tmp_path / "project"
    network = inputs / "yaml" / "networks__mnist-chw-ai85.yaml"
    given = ["--weights", str(checkpoint), "--sample", str(tmp_path / "sample.npy")]
    arguments = ["compile", str(network), *given, *core, "-o", str(folder)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads((folder / "ai8xc.json").read_text())["cycles"]["total"] == CYCLES
    report = run_project(folder, "firmware")
    assert report.passed
    assert report.outputs[0].ravel().tolist() == SCORES
    printed = re.findall(r"^\[ *(-?\d+)\] -> Class", report.printed, re.MULTILINE)
    assert [int(score) for score in printed] == SCORES
