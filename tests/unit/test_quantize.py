"""Post-training quantisation of small graphs, against the arithmetic written out in float."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ai8xc.dialects import nn, q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Rejected, errors
from ai8xc.ir.interp import run
from ai8xc.ir.loc import Loc
from ai8xc.ir.passes import PassContext
from ai8xc.ir.printer import print_graph
from ai8xc.ir.types import TensorType
from ai8xc.ir.verify import verify
from ai8xc.passes.quantization.calibration import Calibration
from ai8xc.passes.quantize import Quantize

STREAM = np.random.RandomState(1)


def image(*shape: int) -> Input:
    return Input(TensorType((1, *shape)), name="x")


def const(array: object, name: str) -> nn.Constant:
    return nn.Constant(Data(np.asarray(array, np.float32)), name=name)


def conv(x: Op, channels: int, name: str, **more: object) -> nn.Conv:
    weight = STREAM.normal(size=(channels, x.type.shape[1], 3, 3)) * 0.3
    bias = STREAM.normal(size=channels) * 0.2
    operands = (const(weight, f"{name}_w"), const(bias, f"{name}_b"))
    return nn.Conv(x, *operands, pads=(1, 1, 1, 1), name=name, **more)  # type: ignore[arg-type]


def graph(output: Op, *more: Op) -> Graph:
    return make_graph("net", "nn", [], [output, *more])


def quantized(source: Graph, *given: object, **options: object) -> tuple[Graph, PassContext]:
    ctx = PassContext(*given)
    return Quantize(**options).run(source, ctx), ctx  # type: ignore[arg-type]


def rules_of(ctx: PassContext) -> list[str]:
    return [finding.rule.id for finding in ctx.diagnostics]


def op_of(source: Graph, name: str) -> Op:
    return next(op for op in source.ops if op.name == name)


def test_a_layer_computes_what_its_scales_say() -> None:
    x = image(3, 6, 6)
    source = graph(conv(conv(x, 8, "a", activation="relu"), 4, "b", activation="relu"))
    lowered, ctx = quantized(source)
    assert not ctx.diagnostics
    assert not verify(lowered)
    steps = STREAM.randint(-128, 128, (5, 3, 6, 6))
    real = run(source, {"x": (steps / 128).astype(np.float32)})[0]
    (got,) = run(lowered, {"x": steps.astype(np.int8)})
    scale = lowered.outputs[0].type.scale
    assert scale is not None
    noise = np.mean((got * scale - real) ** 2)
    assert 10 * math.log10(np.mean(real**2) / noise) > 30


def test_input_scale_is_an_option() -> None:
    lowered, _ = quantized(graph(conv(image(1, 4, 4), 2, "a", activation="relu")), input_scale=0.5)
    assert lowered.inputs[0].type == TensorType((1, 1, 4, 4), "i8", 0.5)


def test_last_layer_without_activation_is_wide() -> None:
    source = graph(conv(image(1, 4, 4), 2, "a"))
    assert quantized(source)[0].outputs[0].type.element == "i32"
    assert quantized(source, wide=False)[0].outputs[0].type.element == "i8"


def test_relu6_is_absorbed_by_the_scale() -> None:
    first = conv(image(1, 4, 4), 2, "a", activation="relu", limit=6.0)
    lowered, ctx = quantized(graph(conv(first, 2, "b")))
    assert op_of(lowered, "a").type.scale == pytest.approx(6 / 127)
    assert not ctx.diagnostics


def test_operands_of_an_add_share_a_scale() -> None:
    a = conv(image(2, 4, 4), 2, "a", activation="relu")
    b = conv(a, 2, "b")
    joined = nn.Add(nn.MaxPool(a, (3, 3), pads=(1, 1, 1, 1)), b, name="join")
    lowered, _ = quantized(graph(conv(joined, 2, "c")))
    assert not verify(lowered)
    scales = {op.type.scale for op in lowered.ops if op.name in ("a", "join")}
    assert len(scales) == 1
    assert op_of(lowered, "b").type.scale == pytest.approx(scales.pop())


def test_softmax_at_the_end_is_left_to_the_host() -> None:
    a = conv(image(1, 4, 4), 2, "a")
    lowered, ctx = quantized(graph(nn.Softmax(a, 1, name="p", loc=Loc("", ("/p",)))))
    assert lowered.get("host") == ("softmax",)
    assert lowered.output_names == ("p",)
    assert isinstance(lowered.outputs[0], q.Conv)
    assert rules_of(ctx) == ["Q012"]


def test_every_unsupported_op_is_named_at_once() -> None:
    x = image(1, 4, 4)
    tanh = nn.Tanh(conv(x, 2, "a"), name="t", loc=Loc("m.onnx", ("/t",)))
    leaky = nn.LeakyRelu(conv(tanh, 2, "b"), name="l", loc=Loc("m.onnx", ("/l",)))
    product = nn.Mul(leaky, leaky, name="m", loc=Loc("m.onnx", ("/m",)))
    _, ctx = quantized(graph(conv(product, 2, "c")))
    found = errors(ctx.diagnostics)
    assert [finding.loc.nodes for finding in found] == [("/t",), ("/l",), ("/m",)]
    assert all(finding.help for finding in found)


def test_weight_bits_by_layer() -> None:
    a = conv(image(1, 4, 4), 2, "a", activation="relu")
    source = graph(conv(a, 2, "b"))
    lowered, _ = quantized(source, weight_bits=4, layer_bits="b=2")
    assert op_of(lowered, "a_w").type.element == "i4"
    assert op_of(lowered, "b_w").type.element == "i2"
    assert not verify(lowered)
    _, ctx = quantized(source, weight_bits=3, layer_bits="nobody=4,a=5")
    assert rules_of(ctx) == ["Q015"] * 3


def test_calibration_data_must_fit() -> None:
    source = graph(conv(image(1, 4, 4), 2, "a"))
    for wrong in ({}, {"x": np.zeros((3, 1, 5, 4))}, {"x": np.full((2, 1, 4, 4), np.nan)}):
        _, ctx = quantized(source, Calibration(wrong))
        assert rules_of(ctx) == ["Q019"]


def test_bias_correction_keeps_the_mean_of_each_channel() -> None:
    x = image(4, 6, 6)
    source = graph(conv(x, 3, "a"))
    samples = STREAM.uniform(0, 0.9, (64, 4, 6, 6)).astype(np.float32)
    steps = np.rint(samples * 128).astype(np.int8)
    real = run(source, {"x": samples})[0].mean(axis=(0, 2, 3))

    def offset(corrected: bool) -> float:
        given = Calibration({"x": samples})
        options = {"bias_correction": corrected, "adaptive_rounding": False}
        lowered, _ = quantized(source, given, weight_bits=4, **options)
        (got,) = run(lowered, {"x": steps})
        scale = lowered.outputs[0].type.scale
        assert scale is not None
        return float(np.abs(got.mean(axis=(0, 2, 3)) * scale - real).max())

    bias_step = 128 * (op_of(quantized(source, weight_bits=4)[0], "a").type.scale or 0)
    assert offset(True) <= bias_step
    assert offset(True) < offset(False)


def noise(source: Graph, lowered: Graph, samples: np.ndarray) -> float:
    """Signal to noise in dB of the first output."""
    steps = np.clip(np.rint(samples * 128), -128, 127).astype(np.int8)
    real, got = run(source, {"x": samples})[0], run(lowered, {"x": steps})[0]
    scale = lowered.outputs[0].type.scale
    assert scale is not None
    return float(10 * np.log10(np.sum(real**2) / np.sum((got * scale - real) ** 2)))


LAYERS = {
    "conv": lambda x: conv(x, 6, "a"),
    "grouped": lambda x: nn.Conv(
        x, const(STREAM.normal(size=(6, 2, 3, 3)), "w"), pads=(1, 1, 1, 1), groups=2, name="a"
    ),
    "transposed": lambda x: nn.ConvTranspose(
        x,
        const(STREAM.normal(size=(4, 3, 3, 3)), "w"),
        const(STREAM.normal(size=6), "b"),
        strides=(2, 2),
        pads=(1, 1, 1, 1),
        output_padding=(1, 1),
        groups=2,
        name="a",
    ),
    "linear": lambda x: nn.Linear(
        nn.Reshape(x, (1, 4 * 36)), const(STREAM.normal(size=(5, 144)), "w"), name="a"
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_adaptive_rounding_beats_nearest(kind: str) -> None:
    source = graph(LAYERS[kind](image(4, 6, 6)))
    smooth = STREAM.uniform(-0.5, 0.9, (80, 4, 3, 3)).repeat(2, axis=2).repeat(2, axis=3)
    samples = (smooth + STREAM.uniform(-0.1, 0.1, smooth.shape)).astype(np.float32)
    given = Calibration({"x": samples})
    found = {
        adaptive: noise(
            source,
            quantized(source, given, weight_bits=4, adaptive_rounding=adaptive)[0],
            samples,
        )
        for adaptive in (False, True)
    }
    assert found[True] > found[False] + 1


def test_calibrated_twice_is_the_same() -> None:
    source = graph(conv(conv(image(2, 6, 6), 4, "a", activation="relu"), 3, "b"))
    given = Calibration({"x": STREAM.uniform(-1, 1, (20, 2, 6, 6)).astype(np.float32)})
    first, second = (print_graph(quantized(source, given)[0]) for _ in range(2))
    assert first == second


def test_an_input_is_rescaled_where_a_large_tensor_joins_it() -> None:
    x = image(2, 4, 4)
    large = nn.Conv(x, const(np.full((2, 2, 1, 1), 9.0), "w"), name="large")
    source = graph(conv(nn.Add(x, large, name="sum"), 2, "c"))
    lowered, ctx = quantized(source)
    assert not verify(lowered)
    assert rules_of(ctx) == ["Q017"]
    (total,) = (op for op in lowered.ops if isinstance(op, q.Add))
    assert isinstance(total.xs[0], q.Conv)
    assert op_of(lowered, "large").operands[0] is lowered.inputs[0]
    samples = STREAM.uniform(-1, 1, (9, 2, 4, 4)).astype(np.float32)
    assert noise(source, lowered, samples) > 30


def test_an_input_keeps_its_scale_where_a_like_tensor_joins_it() -> None:
    x = image(2, 4, 4)
    like = nn.Conv(x, const(np.full((2, 2, 1, 1), 0.4), "w"), name="like")
    lowered, ctx = quantized(graph(nn.Concat((x, like), name="both")))
    assert not ctx.diagnostics
    assert lowered.outputs[0].type.scale == 1 / 128


def test_a_limit_that_is_lost_is_told() -> None:
    x = image(2, 4, 4)
    small = conv(x, 2, "small", activation="relu", limit=0.1)
    large = nn.Conv(x, const(np.full((2, 2, 1, 1), 9.0), "w"), name="large")
    _, ctx = quantized(graph(conv(nn.Add(small, large, name="sum"), 2, "c")))
    assert rules_of(ctx) == ["Q014"]


def stream_of(joins: int, growth: float) -> Graph:
    """A residual network whose stream grows by about this factor in each join."""
    x = image(4, 4, 4)
    tensor: Op = nn.Conv(x, const(np.eye(4).reshape(4, 4, 1, 1), "w"), name="first")
    for number in range(joins):
        weight = np.eye(4)[::-1].reshape(4, 4, 1, 1) * (growth - 1)
        branch = nn.Conv(tensor, const(weight, f"w{number}"), name=f"branch{number}")
        tensor = nn.Add(tensor, branch, name=f"sum{number}")
    return graph(conv(tensor, 2, "last"))


def test_a_stream_that_grows_gets_new_scales() -> None:
    source = stream_of(12, 1.6)
    lowered, ctx = quantized(source)
    assert set(rules_of(ctx)) == {"Q017"}
    assert len(ctx.diagnostics) <= 3
    scales = {op.type.scale for op in lowered.ops if isinstance(op, q.Add)}
    assert 2 <= len(scales) <= 4
    samples = STREAM.uniform(-1, 1, (9, 4, 4, 4)).astype(np.float32)
    assert noise(source, lowered, samples) > 15


def test_a_stream_that_stays_keeps_one_scale() -> None:
    lowered, ctx = quantized(stream_of(40, 1.01))
    assert not ctx.diagnostics
    assert len({op.type.scale for op in lowered.ops if isinstance(op, q.Add)}) == 1


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-10, 1e10])
@pytest.mark.parametrize("calibrated", [False, True])
def test_weights_of_any_size(size: float, calibrated: bool) -> None:
    x = image(2, 4, 4)
    bias = const([size, -size, 0], "b")
    first = nn.Conv(x, const(STREAM.normal(size=(3, 2, 3, 3)) * size, "w"), bias, activation="relu")
    second = nn.Conv(first, const(np.ones((1, 3, 1, 1)), "v"))
    samples = STREAM.uniform(-1, 1, (6, 2, 4, 4)).astype(np.float32)
    lowered, ctx = quantized(graph(second), *[Calibration({"x": samples})] * calibrated)
    assert not ctx.diagnostics
    assert not verify(lowered)


def test_numbers_out_of_all_bounds_are_refused() -> None:
    x = image(2, 4, 4)
    huge = nn.Conv(x, const(np.full((1, 2, 1, 1), 1e30), "w"), name="huge")
    with pytest.raises(Rejected, match="`%huge` reach"):
        quantized(graph(nn.Conv(huge, const(np.ones((1, 1, 1, 1)), "v"))))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_an_input_scale_is_a_positive_number(scale: float) -> None:
    _, ctx = quantized(graph(conv(image(1, 4, 4), 2, "a")), input_scale=scale)
    assert rules_of(ctx) == ["Q021"]


def test_a_constant_is_no_output() -> None:
    _, ctx = quantized(graph(conv(image(1, 4, 4), 2, "a"), const([1.0], "k")))
    assert rules_of(ctx) == ["Q010"]


def test_a_limit_far_from_all_values_is_no_range() -> None:
    first = conv(image(1, 4, 4), 2, "a", activation="relu")
    last = conv(first, 2, "b")
    far = replace(first, limit=32768.0)
    nets = (last, last.with_operands({first: far}))
    found = [op_of(quantized(graph(net))[0], "a").type.scale for net in nets]
    assert found[0] == found[1]
