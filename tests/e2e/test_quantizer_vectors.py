"""The quantiser and the folding of batch norms against the vendor's vectors, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_vectors

from ai8xc.training.quantizer import QuantizerOptions, fold_batch_norms, quantize_state

pytestmark = training_vectors.NEEDED


def options(meta: dict[str, Any]) -> QuantizerOptions:
    given = meta["options"]
    return QuantizerOptions(
        clip_method=given.get("clip_mode"),
        scale=given.get("scale", 0.85),
        stddev=given.get("stddev", 2.0),
        weight_bits=given.get("qat_weight_bits"),
    )


def part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


@pytest.mark.parametrize(
    "path", training_vectors.files("quantizer") or [Path("none")], ids=lambda path: path.stem
)
def test_quantizer(path: Path) -> None:
    meta, arrays = training_vectors.read(path)
    found = quantize_state(part(arrays, "in."), options(meta)).entries
    expected = part(arrays, "out.")
    assert expected or training_vectors.is_defect(path, "")
    assert not expected or set(found) == set(expected)
    for name, values in expected.items():
        if not training_vectors.is_defect(path, name):
            np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize(
    "path", training_vectors.files("quantizer", "clip_*_withbias_*") or [Path("none")], ids=str
)
def test_biases_are_scaled_like_weights(path: Path) -> None:
    """What the vendor's tool has no result for."""
    meta, arrays = training_vectors.read(path)
    state = part(arrays, "in.")
    found = quantize_state(state, options(meta)).entries
    for name in ("conv1", "conv2", "fc"):
        factor = np.abs(state[f"{name}.op.weight"]).max()  # the method is MAX
        bias = np.floor(state[f"{name}.op.bias"] * factor * np.float32(128) + np.float32(0.5))
        np.testing.assert_array_equal(found[f"{name}.op.bias"], 128 * bias.clip(-128, 127))


def test_widths_are_told_where_the_vendor_does_not() -> None:
    for path in training_vectors.files("quantizer", "qat_override*_uncheckpointed_*"):
        meta, arrays = training_vectors.read(path)
        found = quantize_state(part(arrays, "in."), options(meta)).entries
        assert found["conv1.weight_bits"] == meta["options"]["qat_weight_bits"]


def test_batch_norms_fold() -> None:
    _, arrays = training_vectors.read(training_vectors.files(".", "batchnormfuser.npz")[0])
    found, names = fold_batch_norms(part(arrays, "in."), eps=1e-20)
    expected = part(arrays, "out.")
    assert names == ["c"]
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-7, err_msg=name)
