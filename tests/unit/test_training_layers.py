"""Layers for training: arithmetic against the integer level, modes, checkpoints, limits."""

from __future__ import annotations

import copy
import io
import re
import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402 - only where torch is

from ai8xc.dialects import q  # noqa: E402
from ai8xc.ir.core import Data, Input  # noqa: E402
from ai8xc.ir.types import TensorType  # noqa: E402
from ai8xc.training import layers  # noqa: E402
from ai8xc.training.layers import HardwareLayer, LayerError, arithmetic  # noqa: E402

BITS = (1, 2, 4, 8)
MAKERS: dict[str, Any] = {
    "conv2d": lambda **k: (layers.Conv2d(6, 8, 3, padding=1, **k), (6, 7, 5)),
    "conv2d-stride": lambda **k: (layers.Conv2d(6, 8, 3, stride=3, padding=2, **k), (6, 7, 8)),
    "depthwise": lambda **k: (layers.DepthwiseConv2d(8, 8, 3, padding=1, **k), (8, 5, 5)),
    "conv1d": lambda **k: (layers.Conv1d(6, 8, 5, padding=2, dilation=2, **k), (6, 17)),
    "transposed": lambda **k: (
        layers.ConvTranspose2d(4, 6, 3, stride=2, padding=1, **k),
        (4, 5, 4),
    ),
    "linear": lambda **k: (layers.Linear(40, 12, **{"bias": True, **k}), (40,)),
    "many-products": lambda **k: (layers.Conv2d(256, 4, 3, padding=1, **k), (256, 4, 4)),
    "pooled": lambda **k: (layers.FusedMaxPoolConv2d(6, 8, 3, padding=1, **k), (6, 8, 6)),
    "averaged": lambda **k: (layers.FusedAvgPoolConv1d(6, 8, 3, pool_size=3, **k), (6, 18)),
}


def made(name: str, bits: int = 8, device: str = "max78002", **options: Any) -> Any:
    """Return a layer in QAT with parameters of some size, and the shape of its input."""
    bit_options = {"weight_bits": bits, "bias_bits": bits, "quantize_activation": True}
    with layers.use_device(device, mode="qat"):
        layer, shape = MAKERS[name](**bit_options, **options)
    generator = torch.Generator().manual_seed(len(name))
    with torch.no_grad():
        layer.op.weight.uniform_(-0.4, 0.4, generator=generator)
        if layer.op.bias is not None:
            layer.op.bias.uniform_(-0.4, 0.4, generator=generator)
    return layer, shape


def integers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-128, 128, shape, generator=generator).float()


def on_q_level(layer: HardwareLayer, x: np.ndarray) -> np.ndarray:
    """Return what the integer level computes with the integers that a simulating layer stores."""
    bits = layer.bits
    element = {1: "i1", 2: "i2", 4: "i4", 8: "i8"}[bits]
    source = Input(TensorType(x.shape, "i8"), name="x")
    value = x.astype(np.int8)
    if layer.pool is not None:
        sizes = np.ravel(layer.pool.kernel_size)
        kernel = tuple(np.broadcast_to(sizes, x.ndim - 2).tolist())
        kind = q.MaxPool if isinstance(layer.pool, nn.MaxPool2d | nn.MaxPool1d) else q.AveragePool
        stride = int(np.ravel(layer.pool.stride)[0])
        pool = kind(source, kernel=kernel, strides=(stride,) * (x.ndim - 2))
        value = pool.compute(value)
        source = Input(TensorType(value.shape, "i8"), name="pooled")
    op = layer.op
    weight = op.weight.detach().numpy().astype(np.int8)
    constants = [q.Constant(Data(weight), element, name="w")]
    if op.bias is not None:
        stored = op.bias.detach().numpy()
        bias = stored / (128 * 2.0 ** (bits - 8))
        assert (bias == np.rint(bias)).all()
        constants.append(q.Constant(Data(bias.astype(np.int8)), "i8", name="b"))
    options: dict[str, Any] = {
        "output_shift": int(layer.output_shift),
        "activation": {None: "none", "ReLU": "relu"}[layer.activation],
        "wide": layer.wide,
    }
    if isinstance(op, nn.Linear):
        made = q.Linear(source, *constants, **options)
    else:
        options |= {"strides": op.stride, "pads": op.padding * 2, "dilations": op.dilation}
        options |= {"groups": op.groups}
        kind = q.Conv
        if isinstance(op, nn.ConvTranspose2d):
            kind = q.ConvTranspose
            options["output_padding"] = op.output_padding
        made = kind(source, *constants, **options)
    return made.compute(value, *(constant.value.array for constant in constants))


@pytest.mark.parametrize(
    ("name", "bits", "activation", "wide"),
    [
        (name, bits, activation, wide)
        for name, bits, (activation, wide) in product(
            MAKERS, BITS, [(None, False), ("ReLU", False), (None, True)]
        )
    ],
)
def test_training_simulation_and_integer_level_agree(
    name: str, bits: int, activation: Any, wide: bool
) -> None:
    layer, shape = made(name, bits, activation=activation, wide=wide)
    x = integers(3, *shape)
    trained = layer(x / 128).detach().double()
    layers.set_mode(layer, "simulate")
    simulated = layer(x)
    assert simulated.abs().max() > 0
    np.testing.assert_array_equal(simulated.numpy(force=True), on_q_level(layer, x.numpy()))
    unit = 128 * 2 ** (bits - 1) if wide else 128
    if name != "many-products" or not wide:  # a float32 does not hold longer sums exactly
        assert torch.equal(trained * unit, simulated.double())


def test_long_sums_are_exact() -> None:
    """2304 products of extreme integers need more than the 24 bits of a float32."""
    layer, shape = made("many-products", wide=True, bias=False)
    layers.set_mode(layer, "simulate")
    with torch.no_grad():
        layer.op.weight.fill_(-128)
        layer.op.weight[:, 0, 0, 0] = 127
    x = torch.full((1, *shape), -128.0)
    x[0, 5] = 127
    expected = on_q_level(layer, x.numpy())
    assert abs(expected).max() > 2**24
    np.testing.assert_array_equal(layer(x).numpy(force=True), expected)


@pytest.mark.parametrize("rounding", [False, True])
def test_averages(rounding: bool) -> None:
    with layers.use_device("max78000", mode="simulate", avg_pool_rounding=rounding):
        pool = layers.AvgPool2d(2)
    x = torch.tensor([-1.0, 0, 0, 0, -1, -2, -2, -2, 127, 127, 127, 126]).reshape(1, 3, 2, 2)
    expected = [0.0, -2, 127] if rounding else [0.0, -1, 126]
    assert pool(x).flatten().tolist() == expected
    layers.set_mode(pool, "qat")
    assert (pool(x / 128) * 128).flatten().tolist() == expected


# gradients


def reference_grid(x: Tensor, low: float, high: float) -> Tensor:
    rounded = x + (torch.floor(x * 128 + 0.5) / 128 - x).detach()
    return rounded.clamp(low, high)


@pytest.mark.parametrize("rectify", [False, True])
def test_gradients_are_straight_through(rectify: bool) -> None:
    edges = np.array([-128.5, -128, -1, -0.5, 0, 0.25, 0.5, 127, 127.5, 128], np.float32) / 128
    near = np.concatenate([edges, np.nextafter(edges, -9), np.nextafter(edges, 9)])
    random = np.random.default_rng(0).normal(0, 1, 500).astype(np.float32)
    x = torch.from_numpy(np.concatenate([near, random])).requires_grad_()
    y = x.detach().clone().requires_grad_()
    gy = torch.randn(x.shape)
    ours = arithmetic.rectified(x) if rectify else arithmetic.on_grid(x, arithmetic.SIGNED)
    theirs = reference_grid(torch.relu(y) if rectify else y, -1, 127 / 128)
    (ours * gy).sum().backward()
    (theirs * gy).sum().backward()
    assert torch.equal(ours, theirs)
    assert torch.equal(x.grad, y.grad)


def test_saturated_parameters_get_no_gradient() -> None:
    values = torch.tensor([-3.0, -1.0, 0.3, 0.99, 0.996, 2.0], requires_grad=True)
    factors = torch.ones(2, 1)
    quantized = arithmetic.quantized_parameter(values, factors, 8)
    quantized.sum().backward()
    assert (quantized * 128).tolist() == [-128, -128, 38, 127, 127, 127]
    assert values.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_large_batches_give_the_same_values() -> None:
    """They are computed in another order in memory."""
    with layers.use_device("max78000", mode="qat"):
        net = nn.Sequential(
            layers.FusedConv2dReLU(3, 8, 3, padding=1), layers.FusedMaxPoolConv2dReLU(8, 4, 3)
        )
    x = integers(40, 3, 20, 20) / 128
    whole = net(x)
    parts = torch.cat([net(part) for part in x.split(4)])
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("size", [2, 3, 5, 7, 11])
@pytest.mark.parametrize("rounding", [False, True])
def test_averages_of_large_batches_are_those_of_the_simulation(size: int, rounding: bool) -> None:
    with layers.use_device("max78000", mode="qat", avg_pool_rounding=rounding):
        pool = layers.AvgPool2d(size)
    x = integers(30, 8, 22, 22)
    trained = pool(x / 128)
    assert torch.equal(layers.set_mode(pool, "simulate")(x), trained * 128)


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9, 0.985, 0.995, 1.0])
@pytest.mark.parametrize("n", [1, 2, 10, 4097])
def test_quantile(n: int, quantile: float) -> None:
    values = torch.randn(n, generator=torch.Generator().manual_seed(n)).abs()
    found = arithmetic.linear_quantile(values, quantile)
    assert found == pytest.approx(float(torch.quantile(values, quantile)), abs=1e-7)


def test_the_shift_is_that_of_the_quantiser() -> None:
    from ai8xc.training.quantizer import weight_shift

    largest = np.exp(np.random.default_rng(3).uniform(-14, 9, 300)).astype(np.float32)
    for value, bits in product([0.0, 0.5, 1.0, 2.0, *largest], BITS):
        shift = arithmetic.output_shift(torch.tensor(float(value)), bits)
        assert int(shift) == weight_shift(np.float32(value), bits)


# the context


def test_settings_nest_and_belong_to_a_thread() -> None:
    seen: list[Any] = []

    def build() -> None:
        try:
            layers.Add()
        except LayerError as error:
            seen.append(error.argument)

    with layers.use_device("max78000"):
        with layers.use_device("MAX78002", mode="simulate"):
            inner = layers.Add()
        outer = layers.MaxPool2d(2)
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    assert (inner.device, inner.mode) == ("max78002", "simulate")
    assert (outer.device, outer.mode) == ("max78000", "float")
    assert seen == ["device"]
    with pytest.raises(layers.DeviceNotSetError, match="use_device"):
        layers.Linear(4, 4)


@pytest.mark.parametrize("name", ["85", "ai85", "MAX78000", "78000", 85])
def test_names_of_devices(name: Any) -> None:
    with layers.use_device(name) as settings:
        assert settings.device == "max78000"


@pytest.mark.parametrize(("device", "mode"), [("84", "float"), ("stm32", "qat"), ("max78000", "x")])
def test_unknown_device_or_mode(device: str, mode: Any) -> None:
    with pytest.raises(LayerError, match="unknown"), layers.use_device(device, mode=mode):
        pass


# constructors

REFUSED: list[tuple[str, str, Any]] = [
    ("max78000", "kernel_size", lambda: layers.Conv2d(3, 4, 5)),
    ("max78000", "kernel_size", lambda: layers.Conv2d(3, 4, (1, 3))),
    ("max78000", "stride", lambda: layers.Conv2d(3, 4, 3, stride=4)),
    ("max78000", "stride", lambda: layers.FusedMaxPoolConv2d(3, 4, 3, stride=2)),
    ("max78000", "padding", lambda: layers.Conv2d(3, 4, 3, padding=3)),
    ("max78000", "dilation", lambda: layers.Conv2d(3, 4, 3, dilation=2)),
    ("max78000", "groups", lambda: layers.Conv2d(4, 4, 3, groups=4)),
    ("max78000", "groups", lambda: layers.DepthwiseConv2d(4, 4, 3)),
    ("max78000", "wide", lambda: layers.FusedConv2dReLU(3, 4, 3, wide=True)),
    ("max78000", "bias", lambda: layers.FusedConv2dBNReLU(3, 4, 3, bias=False)),
    ("max78000", "batchnorm", lambda: layers.Conv2d(3, 4, 3, batchnorm="affine")),  # type: ignore[arg-type] # the mistake
    ("max78000", "activation", lambda: layers.FusedConv2dReLU(3, 4, 3, activation="Abs")),
    ("max78000", "activation", lambda: layers.Conv2d(3, 4, 3, activation="GELU")),  # type: ignore[arg-type] # the mistake
    ("max78000", "pooling", lambda: layers.FusedMaxPoolConv2d(3, 4, 3, pooling="Avg")),
    ("max78000", "pool_size", lambda: layers.MaxPool2d(17)),
    ("max78000", "pool_size", lambda: layers.MaxPool2d((2, 0))),
    ("max78000", "pool_stride", lambda: layers.MaxPool2d(2, stride=17)),
    ("max78000", "pool_stride", lambda: layers.AvgPool2d((2, 3))),
    ("max78000", "pool_dilation", lambda: layers.MaxPool2d(2, dilation=2)),
    ("max78002", "pool_dilation", lambda: layers.FusedAvgPoolConv2d(3, 4, 3, pool_dilation=2)),
    ("max78000", "stride", lambda: layers.ConvTranspose2d(3, 4, 3)),
    ("max78000", "op", lambda: layers.Conv2d(3, 4, 3, op="Linear")),  # type: ignore[arg-type] # the mistake
    ("max78000", "kernel_size", lambda: layers.Conv1d(3, 4, 10)),
    ("max78000", "stride", lambda: layers.Conv1d(3, 4, 3, stride=2)),
    ("max78000", "dilation", lambda: layers.Conv1d(3, 4, 3, padding=1, dilation=5)),
    ("max78000", "dilation", lambda: layers.Conv1d(3, 4, 5, dilation=3)),
    ("max78002", "padding", lambda: layers.Conv1d(65, 4, 3, padding=1)),
    ("max78000", "in_features", lambda: layers.Linear(1025, 4)),
    ("max78000", "out_features", lambda: layers.Linear(4, 1025)),
    ("max78000", "pooling", lambda: layers.Linear(4, 4, pooling="Max")),  # type: ignore[arg-type] # the mistake
    ("max78000", "quantize_activation", lambda: layers.Linear(4, 4, weight_bits=8, bias_bits=8)),
    ("max78000", "quantize_activation", lambda: layers.Linear(4, 4, quantize_activation=True)),
    (
        "max78000",
        "weight_bits",
        lambda: layers.Linear(4, 4, None, None, None, False, None, 3, 3, True),
    ),
    (
        "max78000",
        "bias_bits",
        lambda: layers.Linear(4, 4, None, None, None, False, None, 4, 8, True),
    ),
]


@pytest.mark.parametrize(("device", "argument", "build"), REFUSED)
def test_what_no_device_has_is_refused(device: str, argument: str, build: Any) -> None:
    with layers.use_device(device), pytest.raises(LayerError) as caught:
        build()
    assert caught.value.argument == argument
    assert len(str(caught.value)) > len(argument) + 10


def test_what_a_device_has_is_built() -> None:
    with layers.use_device("max78002"):
        layers.Conv2d(6, 6, 3, groups=3)
        layers.MaxPool2d(3, stride=2, dilation=4)
        layers.Conv1d(64, 4, 3, padding=1)
        layers.Conv1d(128, 4, 3, dilation=100)
        layers.Conv2d(3, 4, 3, op="ConvTranspose2d", stride=2)
        layers.FusedMaxPoolConv2d(3, 4, 1, pool_size=(3, 2), pool_stride=(2, 2))
        layers.FusedAvgPoolConv1d(3, 4, 1, pool_size=5, pool_stride=None)


def test_every_class_of_the_matrix() -> None:
    """Training facts, section 1.8: the table of presets."""
    names = {"Linear", "FusedLinearReLU", "FusedLinearAbs", "Add", "Sub", "BitwiseOr", "BitwiseXor"}
    names |= {f"{kind}Pool{axes}" for kind in ("Max", "Avg") for axes in ("1d", "2d")}
    names |= {"Fire", "ResidualBottleneck", "ConvResidualBottleneck", "MBConvBlock"}
    pools = ("", "MaxPool", "AvgPool")
    for conv in ("Conv2d", "Conv1d", "ConvTranspose2d"):
        names |= {conv, *(f"Fused{pool}{conv}" for pool in pools[1:])}
        names |= {f"Fused{p}{conv}{a}" for p in pools for a in ("ReLU", "Abs", "BNReLU")}
    names |= {"FusedConv2dBN", "FusedMaxPoolConv2dBN", "FusedMaxPoolConv1dBN"}
    names |= {f"Fused{p}Conv1dBNAbs" for p in pools} | {f"Fused{p}Conv2dBNAbs" for p in pools[1:]}
    for conv in ("DepthwiseConv2d", "DepthwiseConvTranspose2d"):
        names |= {conv, *(f"Fused{pool}{conv}" for pool in pools[1:])}
        names |= {f"Fused{p}{conv}{a}" for p in pools for a in ("ReLU", "BNReLU")}
    assert names <= set(layers.__all__)
    for name in sorted(names - {"Fire", "Linear"}):
        cls = vars(layers)[name]
        assert cls.__doc__, name
        if issubclass(cls, layers.Conv2d | layers.Conv1d):
            assert bool(cls.preset.pooling) == ("Pool" in name)
            assert (cls.preset.activation or "") == {"U": "ReLU", "s": "Abs"}.get(name[-1], "")
            assert bool(cls.preset.batchnorm) == ("BN" in name)
            assert cls.preset.depthwise == ("Depthwise" in name)


# what the vendor's code does wrong


@pytest.mark.parametrize("name", ["FusedMaxPoolConv1dBNAbs", "FusedAvgPoolConv1dBNAbs"])
def test_absolute_value_is_applied(name: str) -> None:
    with layers.use_device("max78000"):
        layer = vars(layers)[name](4, 4, 3)
    assert (layer.eval()(torch.randn(2, 4, 20)) >= 0).all()


def test_depthwise_by_keyword() -> None:
    with layers.use_device("max78002"):
        layer = layers.FusedDepthwiseConv2dReLU(in_channels=8, out_channels=8, kernel_size=3)
    assert layer.op.groups == 8


@pytest.mark.parametrize("operation", ["or", "xor"])
def test_bits_are_those_of_the_integers(operation: str) -> None:
    a, b = integers(500, seed=1), integers(500, seed=2)
    expected = a.int() | b.int() if operation == "or" else a.int() ^ b.int()
    cls = layers.BitwiseOr if operation == "or" else layers.BitwiseXor
    with layers.use_device("max78000", mode="simulate"):
        layer = cls()
    assert torch.equal(layer(a, b), expected.float())
    for mode in ("float", "qat"):
        layers.set_mode(layer, mode)  # type: ignore[arg-type] # a mode
        assert torch.equal(layer(a / 128, b / 128), expected.float() / 128)


def normed(layer: nn.Module) -> nn.Module:
    """Give the batch norms of a layer some statistics."""
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.05, 0.2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
    return layer


@pytest.mark.parametrize(("into", "out", "groups"), [(4, 6, 1), (6, 6, 1), (4, 6, 2), (6, 6, 6)])
def test_batch_norms_of_transposed_convolutions_fold(into: int, out: int, groups: int) -> None:
    torch.manual_seed(0)
    with layers.use_device("max78002"):
        layer = layers.ConvTranspose2d(
            into, out, 3, stride=2, padding=1, groups=groups, batchnorm="Affine"
        )
    normed(layer).eval()
    x = torch.randn(2, into, 5, 4) / 4
    before = layer(x)
    layers.fuse_bn_layers(layer)
    assert layer.bn is None
    torch.testing.assert_close(layer(x), before)


def test_batch_norms_inside_containers_fold() -> None:
    """Elements of a Sequential and of a ModuleList, and a layer that is the network."""
    with layers.use_device("max78000"):
        net = nn.Sequential(
            layers.FusedConv2dBNReLU(3, 4, 3, padding=1),
            nn.ModuleList([layers.FusedConv2dBN(4, 4, 1)])[0],
        )
    normed(net).eval()
    x = torch.randn(2, 3, 6, 6)
    before = net(x)
    layers.fuse_bn_layers(net)
    assert not any("bn." in name for name in net.state_dict())
    torch.testing.assert_close(net(x), before)


# modes


def net_with_norms() -> nn.Sequential:
    torch.manual_seed(4)
    with layers.use_device("max78000"):
        net = nn.Sequential(
            layers.FusedConv2dBNReLU(3, 8, 3, padding=1),
            layers.FusedAvgPoolConv2dBNReLU(8, 8, 3, padding=1, batchnorm="NoAffine"),
            nn.Flatten(),
            layers.Linear(8 * 16, 10, bias=True, wide=True),
        )
    net[0].bn.running_mean.normal_(0, 0.1)
    return net


def test_modes_change_in_place_and_back() -> None:
    net = net_with_norms().eval()
    parameters = [net[0].op.weight, net[3].op.bias]
    x = integers(2, 3, 8, 8)
    layers.set_mode(net, "qat")
    trained, state = net(x / 128), copy.deepcopy(net.state_dict())
    layers.set_mode(net, "simulate")
    assert torch.equal(net(x), trained * 128 * 128)
    assert not (net.state_dict()["0.op.weight"] % 1).any()
    layers.set_mode(net, "qat")
    assert torch.equal(net(x / 128), trained)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert parameters == [net[0].op.weight, net[3].op.bias]
    layers.set_mode(net, "float")
    assert float(net.state_dict()["0.weight_bits"]) == 0


def test_integers_that_were_changed_become_what_they_stand_for() -> None:
    layer, _ = made("conv2d", 4)
    layers.set_mode(layer, "simulate")
    with torch.no_grad():
        layer.op.weight[0, 0, 0, 0] = 7
    factor = 2.0 ** float(layer.output_shift) / 8
    layers.set_mode(layer, "qat")
    assert layer.op.weight[0, 0, 0, 0].item() == 7 * factor


def test_autocast_leaves_the_arithmetic_alone() -> None:
    layer, shape = made("conv2d")
    x = integers(2, *shape) / 128
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("mode", ["float", "qat", "simulate"])
def test_networks_are_exported(mode: Any) -> None:
    net = layers.set_mode(net_with_norms().eval(), mode)
    net[0].shift_quantile.fill_(0.99)
    layers.update_model(net)
    x = integers(2, 3, 8, 8) / (1 if mode == "simulate" else 128)
    program = torch.export.export(net, (x,))
    assert torch.equal(program.module()(x), net(x))
    signature = program.graph_signature
    assert list(signature.parameters) == [name for name, _ in net.named_parameters()]
    assert {"0.op.weight", "0.op.bias", "3.op.weight"} <= set(signature.parameters)
    assert {"0.shift_quantile", "0.output_shift"} <= set(signature.buffers)
    called = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert {target.namespace for target in called if hasattr(target, "namespace")} == {"aten"}


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_networks_in_training_are_exported(bits: int) -> None:
    """As they train, with the gradients, and again after they were saved."""
    net = layers.set_mode(net_with_norms(), "qat").train()
    for name in (0, 1, 3):
        net[name].weight_bits.fill_(bits)
    layers.update_model(net)
    x = integers(2, 3, 8, 8) / 128
    stored = io.BytesIO()
    torch.export.save(torch.export.export(net, (x,)), stored)
    stored.seek(0)
    module = torch.export.load(stored).module()
    found, expected = module(x), net(x)
    assert torch.equal(found, expected)
    found.sum().backward()
    weights = dict(module.named_parameters())
    assert all(weights[name].grad is not None for name, _ in net.named_parameters())


def test_networks_in_training_are_compiled_without_breaks() -> None:
    net = layers.set_mode(net_with_norms(), "qat")
    x = integers(2, 3, 8, 8) / 128
    found = torch.compile(net, backend="aot_eager", fullgraph=True)(x)
    found.sum().backward()
    gradient = net[0].op.weight.grad.clone()
    net.zero_grad()
    expected = net(x)
    expected.sum().backward()
    assert torch.equal(found, expected)
    assert torch.equal(gradient, net[0].op.weight.grad)


def test_networks_are_copied_and_saved_whole(tmp_path: Any) -> None:
    net = layers.set_mode(net_with_norms(), "simulate")
    x = integers(2, 3, 8, 8)
    assert torch.equal(copy.deepcopy(net)(x), net(x))
    torch.save(net, tmp_path / "net")
    assert torch.equal(torch.load(tmp_path / "net", weights_only=False)(x), net(x))


def test_control_entries_changed_in_place_are_followed() -> None:
    layer, shape = made("conv2d")
    other, _ = made("conv2d", 2)
    other.load_state_dict(other.state_dict() | {"shift_quantile": torch.tensor([0.9])})
    layer.weight_bits.fill_(2)
    layer.shift_quantile.data.fill_(0.9)
    x = integers(2, *shape) / 128
    assert torch.equal(layer(x), other(x))


def test_layers_of_the_host() -> None:
    with layers.use_device("max78000"):
        layer = layers.FusedSoftwareLinearReLU(4, 3)
    x = torch.tensor([[0.5, -0.25, 1.0, 0.0]])
    assert torch.equal(layer(x), layer.op(x).clamp(-1, 127 / 128).relu())
    layers.set_mode(layer, "simulate")
    with torch.no_grad():
        layer.op.weight.copy_(torch.tensor([[1.0, 2, 3, 4], [-1, 0, 0, 0], [64, 64, 64, 127]]))
    values = layer(torch.tensor([[127.0, 127, 127, 127]]))
    assert values.tolist() == [[10.0, 0.0, 317.0]]  # 1270/128, below zero, 40513/128 = 316.5


# checkpoints

CONTROLS = {
    "output_shift": (torch.float32, 0.0),
    "weight_bits": (torch.int64, 8),
    "bias_bits": (torch.int64, 8),
    "quantize_activation": (torch.bool, 1),
    "adjust_output_shift": (torch.bool, 1),
    "shift_quantile": (torch.float32, 1.0),
}


def test_names_and_kinds_are_those_of_the_vendor() -> None:
    layer, _ = made("conv2d")
    state = layer.state_dict()
    assert list(state) == [*CONTROLS, "op.weight", "op.bias"]
    for name, (dtype, value) in CONTROLS.items():
        assert state[name].shape == (1,)
        assert state[name].dtype == dtype
        assert float(state[name]) == value


def test_old_checkpoints_load() -> None:
    """`conv2d` for `op`, control values as floats, no quantile."""
    source, shape = made("conv2d", 4)
    old = {n.replace("op.", "conv2d."): v.float() for n, v in source.state_dict().items()}
    del old["shift_quantile"]
    target, _ = made("conv2d", 8)
    target.load_state_dict(old)
    x = integers(2, *shape) / 128
    assert target.bits == 4
    assert torch.equal(target(x), source(x))
    parallel = {f"module.0.{name}": value for name, value in old.items()}
    net = nn.Sequential(made("conv2d", 8)[0])
    layers.load_checkpoint(net, {"state_dict": parallel, "epoch": 3})
    assert torch.equal(net(x), source(x))


def test_a_layer_loads_what_its_mode_needs() -> None:
    source, shape = made("conv2d", 4)
    trained = copy.deepcopy(source.state_dict())
    x = integers(2, *shape)
    expected = source(x / 128)
    quantized = layers.set_mode(source, "simulate").state_dict()
    simulating, _ = made("conv2d")
    layers.set_mode(simulating, "simulate").load_state_dict(trained)
    assert torch.equal(simulating(x), expected * 128)
    training, _ = made("conv2d")
    training.load_state_dict(quantized)
    assert abs(training.op.weight).max() < 4
    layers.set_mode(training, "simulate")
    assert torch.equal(training(x), expected * 128)


def test_folded_and_unfolded_checkpoints_load() -> None:
    net = net_with_norms().eval()
    unfolded = copy.deepcopy(net.state_dict())
    folded = layers.set_mode(net, "qat").state_dict()
    x = integers(2, 3, 8, 8) / 128
    fresh = net_with_norms().eval()
    fresh.load_state_dict(folded)  # a network with batch norms, a checkpoint without
    assert fresh[0].bn is None
    assert torch.equal(layers.set_mode(fresh, "qat")(x), net(x))
    later = layers.set_mode(net_with_norms().eval(), "qat")
    later.load_state_dict(unfolded)  # and the other way round
    torch.testing.assert_close(later[0].op.weight, net[0].op.weight)
    torch.testing.assert_close(later[0].op.bias, net[0].op.bias)


def test_later_revisions_load() -> None:
    """Thresholds and final scale identify them; their shift is smaller by the threshold."""
    layer, shape = made("conv2d")
    state = layer.state_dict() | {
        "activation_threshold": torch.tensor(1.0),
        "final_scale": torch.tensor(2.0),
        "clamp_activation": torch.tensor([True]),
    }
    x = integers(2, *shape) / 128
    y = layer(x)
    layer, _ = made("conv2d")
    layer.load_state_dict(state)
    assert layer.calibrated
    within = y.abs() < 0.99  # half of it, rounded, times 4
    assert (layer(x)[within] - y[within] * 2).abs().max() <= 4 / 128
    layers.set_mode(layer, "simulate")  # where the host has not scaled the result yet
    assert torch.equal(layer(x * 128), layers.set_mode(layer, "qat")(x) * 128 / 4)
    assert set(layer.state_dict()) == set(state)
    back, _ = made("conv2d")
    back.load_state_dict(state)
    back.load_state_dict(made("conv2d")[0].state_dict())
    assert not back.calibrated


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"op.weight": torch.zeros(1, 2, 3, 3)}, "op.weight"),
        ({"op.weight": None}, "op.weight"),
        ({"extra.op.weight": torch.zeros(1)}, "extra.op.weight"),
        ({"weight_bits": torch.tensor([5])}, "weight_bits"),
        ({"shift_quantile": torch.tensor([1.5])}, "shift_quantile"),
    ],
)
def test_checkpoints_of_another_network(change: dict[str, Any], argument: str) -> None:
    layer, _ = made("conv2d")
    state = {k: v for k, v in {**layer.state_dict(), **change}.items() if v is not None}
    with pytest.raises(LayerError) as caught:
        layers.load_checkpoint(layer, state)
    assert caught.value.argument == argument


# blocks


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: layers.Fire(16, 8, 12, 20), (32, 8, 8)),
        (lambda: layers.ResidualBottleneck(16, 16, 6, bias=True), (16, 8, 8)),
        (lambda: layers.ResidualBottleneck(16, 24, 6, 2, True, True), (24, 4, 4)),
        (lambda: layers.ConvResidualBottleneck(16, 16, 2, bias=True), (16, 8, 8)),
        (lambda: layers.ConvResidualBottleneck(16, 24, 2, 2, True, True), (24, 4, 4)),
        (lambda: layers.MBConvBlock(16, 16, bias=True, expand_ratio=4), (16, 8, 8)),
        (lambda: layers.MBConvBlock(16, 24, bias=True, expand_ratio=4, fused=True), (24, 8, 8)),
        (lambda: layers.MBConvBlock(16, 16, bias=True, se_ratio=0.25), (16, 8, 8)),
    ],
)
def test_blocks(build: Any, shape: tuple[int, ...]) -> None:
    with layers.use_device("max78002"):
        block = build().eval()
    x = integers(2, 16, 8, 8) / 128
    assert block(x).shape == (2, *shape)
    layers.set_mode(block, "qat")
    assert block(x).shape == (2, *shape)
    if "resid" in dict(block.named_modules()):
        trained = block(x)
        if not any(isinstance(m, nn.Sigmoid) for m in block.modules()):
            assert torch.equal(layers.set_mode(block, "simulate")(x * 128), trained * 128)


# the manual


def test_the_example_of_the_manual() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training-layers.md").read_text("utf-8")
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], {})
