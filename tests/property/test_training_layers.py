"""Every layer class with random hyper-parameters against a statement of it in numpy."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import layer_statement as stated
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ai8xc.training import layers  # noqa: E402 - needs torch
from ai8xc.training.layers import conv1d, conv2d, linear, pooling  # noqa: E402
from ai8xc.training.layers.preset import PresetLayer  # noqa: E402

CLASSES = sorted(
    {
        cls.__name__
        for module in (conv1d, conv2d, linear)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, PresetLayer) and cls is not PresetLayer
    }
)
DEVICES = ("max78000", "max78002")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        count = 30 if metafunc.config.getoption("--golden-all") else 1
        metafunc.parametrize("seed", range(count))


def possible(name: str, device: str) -> bool:
    return "Depthwise" not in name or device == "max78002"


def arguments(name: str, device: str, draw: random.Random) -> tuple[list[int], dict[str, Any]]:
    """Return sizes and hyper-parameters that the device has."""
    preset = getattr(layers, name).preset
    activation = preset.activation or draw.choice([None, "ReLU", "Abs"])
    given: dict[str, Any] = {"bias": draw.random() < 0.7, "activation": activation}
    given["wide"] = activation is None and draw.random() < 0.5
    if name in ("Linear", "FusedLinearReLU", "FusedLinearAbs"):
        return [draw.randint(1, 40), draw.randint(1, 12)], given
    flat, turned = "1d" in name, "Transpose" in name
    given["batchnorm"] = preset.batchnorm or draw.choice([None, "Affine", "NoAffine"])
    if draw.random() < 0.3:
        given["batchnorm"] = draw.choice(["Affine", "NoAffine", None])
    given["bias"] |= given["batchnorm"] is not None
    kind = preset.pooling or draw.choice([None, "Max", "Avg"])
    given["padding"] = draw.randint(0, 2)
    if kind is not None:
        size = draw.randint(1, 4)
        given |= {"pooling": kind, "pool_size": size, "pool_stride": draw.randint(1, 4)}
        if device == "max78002" and kind == "Max" and draw.random() < 0.3:
            given["pool_dilation"] = draw.randint(1, 2)
    if turned:
        given["stride"] = 2
    elif kind is None and not flat:
        given["stride"] = draw.randint(1, 3)
    kernel = draw.randint(1, 9) if flat else 3 if turned else draw.choice([1, 3])
    if flat and kernel > 1:
        most = 8 // (kernel - 1)
        given["dilation"] = draw.randint(1, most)
    groups = draw.choice([1, 2]) if device == "max78002" else 1
    into, out = (draw.randint(1, 4) * groups for _ in range(2))
    if preset.depthwise:
        return [into, into, kernel], given
    return [into, out, kernel], given | {"groups": groups}


def made(name: str, device: str, seed: int) -> tuple[Any, np.ndarray, Any]:
    """Return a layer with random parameters, integer inputs and what was drawn."""
    draw = random.Random(f"{name} {device} {seed}")
    sizes, given = arguments(name, device, draw)
    given["rounding"] = draw.random() < 0.5
    plain = {key: value for key, value in given.items() if key != "rounding"}
    torch.manual_seed(draw.randrange(1 << 30))
    with layers.use_device(device, avg_pool_rounding=given["rounding"]):
        layer = getattr(layers, name)(*sizes, **plain).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0, draw.choice([0.02, 0.2, 1.5]))
        if layer.bn is not None:
            layer.bn.running_mean.normal_(0, 0.2)
            layer.bn.running_var.uniform_(0.2, 2)
    axes = layer.op.weight.dim() - 2
    shortest = 46 if axes == 1 else 14  # four values a step, then nine of a kernel
    shape = [draw.randint(shortest, shortest + 4) for _ in range(axes)]
    x = np.random.default_rng(seed).integers(-128, 128, (2, sizes[0], *shape))
    return layer, x, given


def accumulated(layer: Any, x: np.ndarray, weight: np.ndarray, given: dict[str, Any]) -> np.ndarray:
    """Return the pooled input's sums of products, (n, m, ...)."""
    if weight.ndim == 2:
        return x @ weight.T
    flat = weight.ndim == 3
    x, weight = (x[..., None], weight[..., None]) if flat else (x, weight)
    groups = layer.op.groups

    def both(value: int) -> tuple[int, int]:
        return (value, 1) if flat else (value, value)

    kind = layer.preset.pooling or given.get("pooling")
    if kind is not None:
        how = stated.Window(
            both(given["pool_stride"]), dilation=both(given.get("pool_dilation", 1))
        )
        x = stated.pooled(x, kind, both(given["pool_size"]), how, rounding=given["rounding"])
    if "Transpose" in type(layer).__name__:
        return stated.transposed(x, weight, given["padding"], groups)
    pad = (given["padding"], 0 if flat else given["padding"])
    how = stated.Window(both(given.get("stride", 1)), pad, both(given.get("dilation", 1)))
    y = stated.convolved(x, weight, how, groups)
    return y[..., 0] if flat else y


def with_bias(y: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return y if bias is None else y + bias.reshape(1, -1, *(1,) * (y.ndim - 2))


def numpy_of(layer: Any) -> tuple[np.ndarray, np.ndarray | None]:
    bias = layer.op.bias
    return layer.op.weight.detach().numpy(), None if bias is None else bias.detach().numpy()


def everything() -> Iterator[Any]:
    for device in DEVICES:
        for name in CLASSES:
            if possible(name, device):
                yield pytest.param(name, device, id=f"{name}-{device}")


@pytest.mark.parametrize(("name", "device"), everything())
def test_integers_are_those_of_the_statement(name: str, device: str, seed: int) -> None:
    layer, x, given = made(name, device, seed)
    inputs = torch.from_numpy(x).float()
    before = layer(inputs / 128)
    layers.set_mode(layer, "qat")  # folds
    layers.set_mode(layer, "float")
    torch.testing.assert_close(layer(inputs / 128), before, rtol=1e-4, atol=2e-5)
    layers.set_mode(layer, "qat")
    weight, bias = (np.copy(v) if v is not None else None for v in numpy_of(layer))
    everyone = weight.ravel() if bias is None else np.concatenate([weight.ravel(), bias])
    for bits in (8, 4, 2, 1):
        quantile = random.Random(seed + bits).choice([1.0, 1.0, 0.9])
        layer.weight_bits.fill_(bits)
        layer.shift_quantile.fill_(quantile)
        layers.update_model(layer)
        trained = layer(inputs / 128).detach().numpy()
        layers.set_mode(layer, "simulate")
        found = layer(inputs).detach().numpy()
        shift = stated.shift_of(everyone, bits, quantile)
        own = stated.integers(weight, shift, bits)
        assert layer.output_shift.item() == shift
        np.testing.assert_array_equal(layer.op.weight.detach().numpy(), own)
        sums = accumulated(layer, x, own * 2 ** (8 - bits), given)
        if bias is not None:
            sums = with_bias(sums, stated.integers(bias, shift, bits) * 128 * 2 ** (8 - bits))
        activation = layer.preset.activation or given["activation"]
        expected = stated.finished(sums, shift, bits, activation, wide=given["wide"])
        np.testing.assert_array_equal(found, expected)
        unit = 128 * (2 ** (bits - 1) if given["wide"] else 1)
        if activation != "Abs":  # whose last rounding is another one in the simulation
            np.testing.assert_array_equal(trained * unit, expected)
        layers.set_mode(layer, "qat")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d"])
def test_pools_are_those_of_the_statement(name: str, device: str, seed: int) -> None:
    draw = random.Random(f"{name} {device} {seed}")
    size, stride, rounding = draw.randint(1, 5), draw.randint(1, 5), draw.random() < 0.5
    dilated = name.startswith("Max") and device == "max78002"
    more = {"dilation": draw.randint(1, 3)} if dilated else {}
    with layers.use_device(device, mode="simulate", avg_pool_rounding=rounding):
        layer = getattr(pooling, name)(size, stride, **more)
    flat = name.endswith("1d")
    x = np.random.default_rng(seed).integers(-128, 128, (2, 3, 15, 1 if flat else 16))
    across = 1 if flat else size
    steps = (stride, 1 if flat else stride)
    spread = (more.get("dilation", 1), 1 if flat else more.get("dilation", 1))
    how = stated.Window(steps, dilation=spread)
    expected = stated.pooled(x, name[:3], (size, across), how, rounding=rounding)
    given = torch.from_numpy(x[..., 0] if flat else x).float()
    wanted = expected[..., 0] if flat else expected
    np.testing.assert_array_equal(layer(given).numpy(), wanted)
    layers.set_mode(layer, "qat")
    np.testing.assert_array_equal(layer(given / 128).numpy() * 128, wanted)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["Add", "Sub", "BitwiseOr", "BitwiseXor"])
def test_operands_are_combined_as_stated(name: str, device: str, seed: int) -> None:
    count = 2 + seed % 3
    operands = np.random.default_rng(seed).integers(-128, 128, (count, 2, 3, 4, 5))
    combine = {"Add": np.add, "Sub": np.subtract, "BitwiseOr": np.bitwise_or}
    expected = operands[0]
    for operand in operands[1:]:
        expected = combine.get(name, np.bitwise_xor)(expected, operand)
    expected = np.clip(expected, -128, 127)
    for mode, unit in (("simulate", 1), ("qat", 128), ("float", 128)):
        with layers.use_device(device, mode=mode):
            layer = getattr(layers, name)()
        found = layer(*(torch.from_numpy(o).float() / unit for o in operands))
        np.testing.assert_array_equal(found.numpy() * unit, expected)
