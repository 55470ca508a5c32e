"""Every layer against the vendor's training vectors: bit for bit where they are exact.

Vectors that record a defect of the vendor's code are in `training_vectors.DEFECTS`; tests of their
own check the right result.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_vectors

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402 - only where torch is

from ai8xc.training import layers, nas  # noqa: E402 - needs torch

pytestmark = training_vectors.NEEDED

FLOAT_TOLERANCE = 4e-7
FILES = [path for path in training_vectors.files() if path.stem.rpartition("_ai")[1]]


class Case:
    """One file of vectors."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.meta, self.arrays = training_vectors.read(path)

    def module(self, mode: Any, *, rounding: bool = False, bits: int | None = None) -> nn.Module:
        arguments: dict[str, Any] = dict(self.meta["kwargs"])
        if bits is not None:
            arguments |= {"weight_bits": bits, "bias_bits": bits, "quantize_activation": True}
            arguments.pop("batchnorm", None)
        with layers.use_device(self.meta["device"], mode=mode, avg_pool_rounding=rounding):
            return getattr(layers, self.meta["cls"])(*self.meta["args"], **arguments)

    def state(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): torch.from_numpy(array)
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def inputs(self, divisor: int = 1) -> list[Tensor]:
        count = range(self.meta["n_inputs"])
        return [torch.from_numpy(self.arrays[f"x{i}_int"]).float() / divisor for i in count]

    def settings(self, start: str) -> list[str]:
        """Return what follows a name, such as `b8_q1.0`, in the arrays that have it."""
        return [name.removeprefix(start) for name in self.arrays if name.startswith(start)]


@pytest.fixture(params=FILES or [Path("none")], ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def parameters(case: Case) -> dict[str, Tensor]:
    """Return the float parameters, batch norms folded."""
    state = {k: v for k, v in case.state("p.").items() if not k.startswith("bn.")}
    return state | case.state("fused.")


def load(module: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    module.load_state_dict(state)
    return module


def close(actual: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=0, atol=FLOAT_TOLERANCE)


def same(actual: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(actual.detach().numpy(), expected)


def test_float(case: Case) -> None:
    if training_vectors.is_defect(case.path, "y_float"):
        pytest.skip("a recorded defect, see test_real_operands_of_bitwise_layers")
    module = load(case.module("float"), case.state("p."))
    close(module.eval()(*case.inputs(128)), case.arrays["y_float"])
    if "y_float_bntrain" not in case.arrays:
        return
    close(module.train()(*case.inputs(128)), case.arrays["y_float_bntrain"])
    for name in ("running_mean", "running_var"):
        close(module.bn.get_buffer(name), case.arrays[f"bntrain.{name}"])


def test_real_operands_of_bitwise_layers() -> None:
    """The patterns are those of the integers, also in real numbers."""
    for path in training_vectors.files(".", "bitwise*.npz"):
        case = Case(path)
        found = case.module("float")(*case.inputs(128))
        operation = np.bitwise_xor if "xor" in path.stem else np.bitwise_or
        operands = [case.arrays[f"x{i}_int"] for i in range(case.meta["n_inputs"])]
        expected = functools.reduce(operation, operands)
        same(found * 128, expected.astype(np.float32))
        same(case.module("simulate")(*case.inputs()), case.arrays["y_sim"])


def test_transposed_convolutions_fold() -> None:
    for path in training_vectors.files(".", "tconv2d_bnrelu_*.npz"):
        case = Case(path)
        module = load(case.module("float"), case.state("p.")).eval()
        layers.set_mode(module, "qat")
        layers.set_mode(module, "float")
        assert module.bn is None
        close(module(*case.inputs(128)), case.arrays["y_float"])


def test_folding(case: Case) -> None:
    fused = case.state("fused.")
    if not fused:
        pytest.skip("no batch norm")
    module = load(case.module("float"), case.state("p.")).eval()
    layers.fuse_bn_layers(module)
    for name, expected in fused.items():
        close(module.state_dict()[name], expected.numpy())
    close(module(*case.inputs(128)), case.arrays["y_float_fused"])


def test_training(case: Case) -> None:
    settings = case.settings("y_qat.")
    for setting in settings:
        rounding = setting.endswith("_round")
        key = setting.removesuffix("_round")
        bits, quantile = int(key[1]), float(key.partition("_q")[2])
        pool_only = "p.op.weight" not in case.arrays
        module = case.module("qat", rounding=rounding, bits=None if pool_only else bits)
        state = parameters(case) | {"shift_quantile": torch.tensor([quantile])}
        load(module, state)
        (x,) = case.inputs(128)
        y = module(x.requires_grad_())
        same(y, case.arrays[f"y_qat.{setting}"])
        if f"out_shift_qat.{setting}" in case.arrays:
            same(module.shift(), case.arrays[f"out_shift_qat.{setting}"])
        if f"gx_qat.{setting}" not in case.arrays:
            continue
        (y * torch.from_numpy(case.arrays["gy"])).sum().backward()
        gradients = {"gx": x.grad}
        if not pool_only:
            gradients |= {"gw": module.op.weight.grad}
            gradients |= {} if module.op.bias is None else {"gb": module.op.bias.grad}
        for name, gradient in gradients.items():
            expected = case.arrays[f"{name}_qat.{setting}"]
            same(gradient, expected)


def test_quantising(case: Case) -> None:
    """Leaving QAT for the simulation gives what the quantiser gives."""
    for setting in {name.partition(".op.")[0] for name in case.settings("quant.")}:
        if setting.endswith("output_shift"):
            continue
        bits, quantile = int(setting[1]), float(setting.partition("_q")[2])
        module = case.module("qat", bits=bits)
        load(module, parameters(case) | {"shift_quantile": torch.tensor([quantile])})
        layers.set_mode(module, "simulate")
        for name, expected in case.state(f"quant.{setting}.").items():
            same(module.state_dict()[name], expected.numpy())


def test_simulation(case: Case) -> None:
    for setting in case.settings("y_sim"):
        key = setting.removesuffix("_round").removeprefix(".")
        quantized = case.state(f"quant.{key}.")
        bits = int(key[1]) if quantized else None
        module = case.module("simulate", rounding=setting.endswith("_round"), bits=bits)
        if quantized:
            controls = {
                "weight_bits": torch.tensor([bits]),
                "bias_bits": torch.tensor([float(bits or 0)]),
                "quantize_activation": torch.tensor([1.0]),
                "adjust_output_shift": torch.tensor([0.0]),
            }
            load(module, parameters(case) | quantized | controls)
        y = module(*case.inputs())
        same(y, case.arrays[f"y_sim{setting}"])


@pytest.mark.parametrize(
    ("file", "name"),
    [("ofa_conv1d_k5", "FusedConv1dBNReLU"), ("ofa_conv2d_k3", "FusedMaxPoolConv2dBNReLU")],
)
def test_once_for_all(file: str, name: str) -> None:
    (path,) = training_vectors.files("nas", f"{file}.npz")
    _, arrays = training_vectors.read(path)
    state = {k[2:]: torch.from_numpy(v) for k, v in arrays.items() if k.startswith("p.")}
    out, into, kernel, *_ = state["op.weight"].shape
    with layers.use_device("max78000"):
        module = getattr(nas, name)(into, out, kernel, padding=kernel // 2).eval()
    assert [*module.state_dict()] == [*state]
    module.load_state_dict(state)
    checked = 0
    for key, expected in arrays.items():
        if match := re.fullmatch(r"y_k(\d)_o(\d+)_i(\d+)", key):
            size, outputs, inputs = map(int, match.groups())
            module.use(kernel_size=size, out_channels=outputs, in_channels=inputs)
            close(module(torch.from_numpy(arrays["x"])[:, :inputs]), expected)
            checked += 1
    assert checked >= 8
