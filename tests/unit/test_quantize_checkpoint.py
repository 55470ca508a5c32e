"""`ai8xc quantize`: files in and out, widths, and what is wrong with a checkpoint."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ai8xc.cli.main import cli
from ai8xc.frontend.checkpoint import read_checkpoint
from ai8xc.ir.diag import Rejected
from ai8xc.training.checkpoint_file import checkpoint_bytes
from ai8xc.training.quantizer import (
    QuantizerOptions,
    fold_batch_norms,
    linear_quantile,
    quantize_state,
    weight_shift,
)

Arrays = dict[str, Any]


def layer(name: str, weight: np.ndarray, bias: np.ndarray | None = None, bits: int = 0) -> Arrays:
    found = {
        f"{name}.output_shift": np.zeros(1, np.float32),
        f"{name}.weight_bits": np.array([bits]),
        f"{name}.bias_bits": np.array([bits]),
        f"{name}.quantize_activation": np.array([bits > 0]),
        f"{name}.adjust_output_shift": np.array([bits > 0]),
        f"{name}.shift_quantile": np.ones(1, np.float32),
        f"{name}.op.weight": weight.astype(np.float32),
    }
    return found if bias is None else {**found, f"{name}.op.bias": bias.astype(np.float32)}


def network() -> Arrays:
    generator = np.random.default_rng(0)
    return {
        **layer("conv1", generator.normal(0, 0.1, (4, 1, 3, 3)), generator.normal(0, 0.1, 4)),
        **layer("fc", generator.normal(0, 0.3, (10, 16)), bits=4),
    }


def saved(path: Path, state: Arrays, **others: object) -> Path:
    path.write_bytes(checkpoint_bytes({"epoch": 7, "arch": "net", "state_dict": state, **others}))
    return path


def quantize(checkpoint: Path, output: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["quantize", str(checkpoint), "-o", str(output), *arguments])


def test_worked_example_of_the_semantics() -> None:
    """Largest weight 0.4, bias 0.3, 8 bits: factor 2, weight 102, bias 77 * 128, shift -1."""
    state = layer("c", np.array([[0.4]]), np.array([0.3]))
    found = quantize_state(state, QuantizerOptions()).entries
    assert found["c.op.weight"] == 102
    assert found["c.op.bias"] == 77 * 128
    assert found["c.output_shift"] == -1


def test_round_trip_through_files(tmp_path: Path) -> None:
    extras = {"best_top1": 99.5}
    checkpoint = saved(tmp_path / "in.pth.tar", network(), extras=extras, optimizer_type="Adam")
    done = quantize(checkpoint, tmp_path / "out.pth.tar", "--device", "MAX78000", "--format=json")
    assert done.exit_code == 0, done.output
    layers = json.loads(done.stdout)["layers"]
    assert [(found["name"], found["weight_bits"]) for found in layers] == [("conv1", 8), ("fc", 4)]
    content: Any = read_checkpoint(tmp_path / "out.pth.tar")
    assert content["arch"] == "net"
    assert content["extras"] == {**extras, "clipping_method": "MAX_BIT_SHIFT"}
    assert "optimizer_type" not in content
    state = content["state_dict"]
    assert abs(state["fc.op.weight"]).max() <= 8
    assert not (state["conv1.op.weight"] % 1).any()
    assert state["conv1.adjust_output_shift"] == 0


def test_older_names(tmp_path: Path) -> None:
    state = {f"module.{n}".replace(".op.", ".conv2d."): v for n, v in network().items()}
    done = quantize(saved(tmp_path / "in.pth.tar", state), tmp_path / "out.pth.tar")
    assert done.exit_code == 0, done.output
    content: Any = read_checkpoint(tmp_path / "out.pth.tar")
    expected = quantize_state(network(), QuantizerOptions()).entries
    assert set(content["state_dict"]) == set(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", {"conv1": 2, "fc": 4}),
        ("2,fc=1", {"conv1": 2, "fc": 1}),
        ("fc=8", {"conv1": 8, "fc": 8}),
    ],
)
def test_widths(tmp_path: Path, text: str, expected: dict[str, int]) -> None:
    checkpoint = saved(tmp_path / "in.pth.tar", network())
    done = quantize(checkpoint, tmp_path / "o", "--weight-bits", text, "--format", "json")
    layers = json.loads(done.stdout)["layers"]
    assert {found["name"]: found["weight_bits"] for found in layers} == expected


def test_widths_of_a_description_go_to_layers_with_weights(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "in.pth.tar", network())
    description = tmp_path / "net.yaml"
    description.write_text(
        "arch: net\nlayers:\n- {quantization: 2, processors: 1}\n- {op: passthrough}\n- {op: fc}\n"
    )
    done = quantize(checkpoint, tmp_path / "o", "-c", str(description), "--format", "json")
    layers = json.loads(done.stdout)["layers"]
    assert [found["weight_bits"] for found in layers] == [2, 4]
    description.write_text("layers:\n- {op: conv2d}\n")
    done = quantize(checkpoint, tmp_path / "o", "-c", str(description))
    assert done.exit_code == 2
    assert "1 layers have weights, but the checkpoint has 2" in done.output


def test_search_loses_less(tmp_path: Path) -> None:
    """With one outlier among small weights, saturating it is better."""
    weight = np.random.default_rng(1).normal(0, 0.05, (16, 8, 3, 3))
    weight.flat[0] = 0.6
    state = layer("c", weight)
    options = QuantizerOptions(weight_bits=4)
    (plain,) = quantize_state(state, options).layers
    (searched,) = quantize_state(state, QuantizerOptions("SEARCH", weight_bits=4)).layers
    assert searched.snr_db > plain.snr_db + 2
    assert searched.shift < plain.shift


def test_calibrated_thresholds_go_into_the_shift() -> None:
    state = layer("c", np.array([[0.4]]), bits=8)
    state["c.activation_threshold"] = np.array(2, np.float32)
    assert quantize_state(state, QuantizerOptions()).entries["c.output_shift"] == -3


def test_batch_norms_are_folded_with_a_warning(tmp_path: Path) -> None:
    state = network()
    norm = {"weight": 2.0, "bias": 0.5, "running_mean": 0.25, "running_var": 4.0}
    state |= {f"conv1.bn.{k}": np.full(4, v, np.float32) for k, v in norm.items()}
    done = quantize(saved(tmp_path / "in.pth.tar", state), tmp_path / "out.pth.tar")
    assert done.exit_code == 0
    assert "QT013" in done.stderr
    folded, _ = fold_batch_norms(state)
    gain = 2.0 / 4 / math.sqrt(4.0 + 1e-5)
    np.testing.assert_allclose(
        folded["conv1.op.bias"], (state["conv1.op.bias"] - 0.25) * gain + 0.5 / 4, rtol=1e-6
    )


def test_transposed_convolutions_fold_along_their_outputs() -> None:
    weight = np.ones((2, 3, 3, 3), np.float32)
    state = layer("t", weight, np.zeros(3))
    norm = {"running_mean": np.zeros(3), "running_var": np.array([1.0, 4.0, 16.0])}
    state |= {f"t.bn.{k}": v.astype(np.float32) for k, v in norm.items()}
    folded, _ = fold_batch_norms(state, eps=0.0, divisor=1)
    np.testing.assert_allclose(folded["t.op.weight"][1, :, 2, 2], [1, 0.5, 0.25])


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("conv1.op.weight", np.full((1, 1), np.nan, np.float32), "not finite"),
        ("conv1.weight_bits", np.array([3]), "3.0 is not 1, 2, 4 or 8"),
        ("conv1.op.w_zero_point", np.array([1.0]), "no zero points"),
        ("conv1.op.weight", np.array([[1]]), "int64"),
    ],
)
def test_bad_entries(entry: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(Rejected, match=message) as caught:
        quantize_state({**network(), entry: value}, QuantizerOptions())
    assert caught.value.unusable


def test_a_quantised_checkpoint_is_not_quantised_again() -> None:
    once = quantize_state(network(), QuantizerOptions()).entries
    with pytest.raises(Rejected, match="quantised already"):
        quantize_state(once, QuantizerOptions())


@pytest.mark.parametrize(
    ("content", "rule"),
    [(b"nothing", "CK001"), (checkpoint_bytes({"state_dict": {}}), "QT010")],
)
def test_unusable_files(tmp_path: Path, content: bytes, rule: str) -> None:
    (tmp_path / "in").write_bytes(content)
    done = quantize(tmp_path / "in", tmp_path / "out")
    assert done.exit_code == 2
    assert rule in done.output
    assert not (tmp_path / "out").exists()


def test_unknown_layers_and_widths(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "in", network())
    assert "QT014" in quantize(checkpoint, tmp_path / "out", "--weight-bits", "conv9=4").output
    assert quantize(checkpoint, tmp_path / "out", "--weight-bits", "3").exit_code == 2


def test_quantile_is_that_of_numpy() -> None:
    values = np.random.default_rng(2).random(1001).astype(np.float32)
    for quantile in (0.0, 0.25, 0.9, 0.985, 0.995, 1.0):
        expected = np.quantile(values.astype(np.float64), quantile)
        assert linear_quantile(values, quantile) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("largest", "bits", "shift"),
    [
        (1.0, 8, 0),
        (0.5, 8, -1),
        (0.51, 8, 0),
        (0.4, 8, -1),
        (3.0, 8, 2),
        (0.0, 8, -15),
        (3000.0, 1, 8),
    ],
)
def test_weight_shift(largest: float, bits: int, shift: int) -> None:
    assert weight_shift(np.float32(largest), bits) == shift


def test_torch_is_not_imported(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "in", network())
    script = (
        "import sys; from ai8xc.cli.main import cli;"
        f"cli(['quantize', {str(checkpoint)!r}, '-o', {str(tmp_path / 'out')!r}],"
        " standalone_mode=False); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_torch_reads_what_is_written(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    content = {"state_dict": network(), "list": [1, -(2**40), 1.5, None, True, "text"], "s": {}}
    path = tmp_path / "file"
    path.write_bytes(checkpoint_bytes({**content, "scalar": np.array(2.5, np.float32)}))
    found = torch.load(path, weights_only=True)
    assert found["list"] == content["list"]
    assert found["scalar"].shape == ()
    for name, values in network().items():
        np.testing.assert_array_equal(found["state_dict"][name].numpy(), values)


def test_only_plain_data_are_written() -> None:
    with pytest.raises(TypeError, match="no plain data"):
        checkpoint_bytes({"object": object()})
