"""Models that are quantised already keep their integers where the hardware has them."""

from __future__ import annotations

import numpy as np
import pytest

from ai8xc.dialects import nn, q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.interp import run
from ai8xc.ir.passes import PassContext
from ai8xc.ir.types import TensorType
from ai8xc.ir.verify import verify
from ai8xc.passes.quantize import Quantize

STREAM = np.random.RandomState(11)
WEIGHT = STREAM.randint(-127, 128, (4, 2, 3, 3)).astype(np.int8)
BIAS = STREAM.randint(-100, 100, 4) * 128  # what the hardware can hold: multiples of 128
X_STEP, W_STEP, Y_STEP = 2.0**-6, 2.0**-7, 2.0**-3


def const(array: object, name: str, dtype: type = np.float32) -> nn.Constant:
    return nn.Constant(Data(np.asarray(array, dtype)), name=name)


def real(values: object, step: object, dtype: type, zero: int | None = None) -> Op:
    """A constant in integers with its scale; `zero` is the zero point."""
    point = None if zero is None else const(zero, "", dtype)
    return nn.Dequantize(const(values, "c", dtype), const(step, ""), point, 0)


def held(x: Op, step: float, zero: int = 0, kind: type = np.int8) -> Op:
    """A tensor that goes through integers."""
    scale, point = const(step, ""), const(zero, "", kind)
    element = point.type.element
    return nn.Dequantize(nn.Quantize(x, scale, point, to=element), scale, point)


def network(
    *,
    w_step: object = W_STEP,
    y_step: float = Y_STEP,
    zero: int = 0,
    kind: type = np.int8,
    bias: object = BIAS,
) -> Graph:
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    weight = real(WEIGHT, w_step, np.int8)
    offsets = real(bias, np.float32(X_STEP) * np.float32(np.max(w_step)), np.int32)
    layer = nn.Conv(held(x, X_STEP), weight, offsets, pads=(1, 1, 1, 1), name="layer")
    return make_graph("net", "nn", [x], [held(nn.Relu(layer), y_step, zero, kind)])


def quantized(source: Graph) -> tuple[Graph, PassContext]:
    ctx = PassContext()
    lowered = Quantize().run(source, ctx)
    assert not verify(lowered)
    return lowered, ctx


def layer_of(lowered: Graph) -> q.Conv:
    return next(op for op in lowered.ops if isinstance(op, q.Conv))


def weight_of(lowered: Graph) -> np.ndarray:
    weight = layer_of(lowered).weight
    assert isinstance(weight, q.Constant)
    return weight.value.array


def test_integers_are_kept_and_the_result_is_the_models() -> None:
    source = network()
    lowered, ctx = quantized(source)
    assert not ctx.diagnostics
    np.testing.assert_array_equal(weight_of(lowered), WEIGHT)
    assert lowered.inputs[0].type.scale == X_STEP
    assert lowered.outputs[0].type == TensorType((1, 4, 5, 5), "i8", Y_STEP)
    steps = STREAM.randint(-128, 128, (20, 2, 5, 5))
    (wanted,) = run(source, {"x": (steps * X_STEP).astype(np.float32)})
    (got,) = run(lowered, {"x": steps.astype(np.int8)})
    # products and steps are powers of two, so float32 is exact; ONNX rounds halves to even
    acc = run(make_graph("n", "nn", [], [_layer(source)]), {"x": steps * np.float32(X_STEP)})[0]
    halves = np.mod(acc / Y_STEP, 1) == 0.5
    assert halves.mean() < 0.1
    np.testing.assert_array_equal((got * Y_STEP)[~halves], wanted[~halves])


def _layer(source: Graph) -> Op:
    return next(op for op in source.ops if isinstance(op, nn.Conv))


def test_unsigned_integers_around_128_are_signed_integers() -> None:
    lowered, ctx = quantized(network(zero=128, kind=np.uint8))
    assert not ctx.diagnostics
    np.testing.assert_array_equal(weight_of(lowered), WEIGHT)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"y_step": 0.1}, "no power of two"),
        ({"zero": 3}, "zero point is 3"),
        ({"zero": 0, "kind": np.uint8}, "zero point is 0 of u8"),
        ({"w_step": np.array([1, 2, 3, 4], np.float32) / 512}, "a scale for each channel"),
        ({"bias": BIAS + 7}, "no multiples of 128"),
    ],
)
def test_why_a_layer_is_quantised_anew(change: dict[str, object], why: str) -> None:
    lowered, ctx = quantized(network(**change))  # type: ignore[arg-type]
    (found,) = ctx.diagnostics
    assert found.rule.id == "Q016"
    assert why in found.message
    x = STREAM.randint(-128, 128, (9, 2, 5, 5))
    (wanted,) = run(network(**change), {"x": (x * X_STEP).astype(np.float32)})  # type: ignore[arg-type]
    (got,) = run(lowered, {"x": x.astype(np.int8)})
    scale = lowered.outputs[0].type.scale
    assert scale is not None
    assert np.sqrt(np.mean((got * scale - wanted) ** 2)) < 0.05 * wanted.std()


def test_a_result_without_scale_gets_one_that_keeps_the_weights() -> None:
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    weight = real(WEIGHT, 0.0123, np.int8)
    first = nn.Conv(held(x, 0.017), weight, activation="relu", name="layer")
    lowered, ctx = quantized(make_graph("net", "nn", [x], [first]))
    assert not ctx.diagnostics
    np.testing.assert_array_equal(weight_of(lowered), WEIGHT)


def test_an_integer_input_keeps_its_numbers() -> None:
    x = Input(TensorType((1, 2, 5, 5), "i8"), name="x")
    data = nn.Dequantize(x, const(0.5, ""), None)
    layer = nn.Conv(data, real(WEIGHT, W_STEP, np.int8), name="layer")
    lowered, ctx = quantized(make_graph("net", "nn", [x], [layer]))
    assert not ctx.diagnostics
    assert lowered.inputs[0].type == TensorType((1, 2, 5, 5), "i8", 0.5)
    assert layer_of(lowered).wide
    steps = STREAM.randint(-128, 128, (3, 2, 5, 5)).astype(np.int8)
    (wanted,) = run(make_graph("net", "nn", [x], [layer]), {"x": steps})
    np.testing.assert_allclose(run(lowered, {"x": steps})[0] * 0.5 * W_STEP, wanted, rtol=1e-6)


def test_an_add_of_different_scales_is_quantised_anew() -> None:
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    data = held(x, X_STEP)

    def branch(step: float, name: str) -> Op:
        weight = real(WEIGHT[:2], W_STEP, np.int8)
        return held(nn.Conv(data, weight, pads=(1, 1, 1, 1), name=name), step)

    total = held(nn.Add(branch(0.25, "a"), branch(0.125, "b"), name="sum"), 0.3)
    lowered, ctx = quantized(make_graph("net", "nn", [x], [total]))
    (found,) = ctx.diagnostics  # the other layer's scale became that of the group
    assert found.rule.id == "Q016"
    assert "shares a scale" in found.message
    assert isinstance(lowered.outputs[0], q.Add)


def integer_network(x: Op, *, zero: int | None = None, factor: float | None = None) -> Op:
    """ConvInteger as it is imported, and what exporters put behind it."""
    wide: Op = nn.Cast(x, "i32")
    if zero is not None:
        wide = nn.Sub(wide, const(zero, "zero", np.int32))
    y: Op = nn.Conv(wide, const(WEIGHT, "w", np.int32), pads=(1, 1, 1, 1), name="layer")
    if factor is None:
        return y
    return nn.Relu(nn.Mul(nn.Cast(y), const(factor, "factor"), name="product"), name="act")


@pytest.mark.parametrize(("element", "zero"), [("i8", None), ("i8", 0), ("u8", 128)])
def test_integer_convolution_is_the_accumulator(element: str, zero: int | None) -> None:
    x = Input(TensorType((1, 2, 5, 5), element), name="x")  # type: ignore[arg-type]
    source = make_graph("net", "nn", [x], [integer_network(x, zero=zero)])
    lowered, ctx = quantized(source)
    assert not ctx.diagnostics
    steps = STREAM.randint(-128, 128, (5, 2, 5, 5))
    stored = (steps + 128).astype(np.uint8) if element == "u8" else steps.astype(np.int8)
    (wanted,) = run(source, {"x": stored})
    (got,) = run(lowered, {"x": steps.astype(np.int8)})
    np.testing.assert_array_equal(got, wanted)
    assert lowered.outputs[0].type == TensorType((1, 4, 5, 5), "i32", 1.0)


def test_integer_convolution_of_a_quantised_tensor() -> None:
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    point = const(0, "zx", np.int8)
    stored = nn.Quantize(x, const(X_STEP, "s"), point, to="i8")
    real_part = integer_network(stored, zero=0, factor=X_STEP * W_STEP)
    source = make_graph("net", "nn", [x], [held(real_part, Y_STEP)])
    lowered, ctx = quantized(source)
    assert not ctx.diagnostics
    np.testing.assert_array_equal(weight_of(lowered), WEIGHT)
    steps = STREAM.randint(-128, 128, (9, 2, 5, 5))
    (wanted,) = run(source, {"x": (steps * X_STEP).astype(np.float32)})
    (got,) = run(lowered, {"x": steps.astype(np.int8)})
    same = got * Y_STEP == wanted
    assert same.mean() > 0.95  # all but halves, which ONNX rounds to even
    assert np.abs(got * Y_STEP - wanted).max() <= Y_STEP


@pytest.mark.parametrize("zero", [None, 5])
def test_integers_that_are_not_understood_are_refused(zero: int | None) -> None:
    x = Input(TensorType((1, 2, 5, 5), "u8"), name="x")
    source = make_graph("net", "nn", [x], [integer_network(x, zero=zero)])
    ctx = PassContext()
    Quantize().run(source, ctx)
    assert {found.rule.id for found in ctx.diagnostics} == {"Q010"}


def test_biases_beyond_eight_bits_are_limited_with_a_warning() -> None:
    lowered, ctx = quantized(network(bias=np.array([300, -300, 5, 0]) * 128))
    (found,) = ctx.diagnostics
    assert (found.rule.id, found.severity) == ("Q013", "warning")
    assert found.message.startswith("2 of 4 biases")
    bias = layer_of(lowered).bias
    assert isinstance(bias, q.Constant)
    np.testing.assert_array_equal(bias.value.array, [127, -128, 5, 0])


@pytest.mark.parametrize(("kind", "zero"), [(np.uint8, 0), (np.int8, -128)])
def test_integers_that_start_at_zero_rectify(kind: type, zero: int) -> None:
    """Exporters leave out a ReLU in front of such a conversion."""
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    layer = nn.Conv(held(x, X_STEP), real(WEIGHT, W_STEP, np.int8), pads=(1, 1, 1, 1), name="layer")
    source = make_graph("net", "nn", [x], [held(nn.MaxPool(layer, (2, 2)), Y_STEP, zero, kind)])
    lowered, _ = quantized(source)
    assert layer_of(lowered).activation == "relu"
    # 255 steps of the model are 127 steps of twice the size, so the weights stay what they are
    assert lowered.outputs[0].type.scale == 2 * Y_STEP
    np.testing.assert_array_equal(weight_of(lowered), WEIGHT)
    steps = STREAM.randint(-128, 128, (9, 2, 5, 5))
    (wanted,) = run(source, {"x": (steps * X_STEP).astype(np.float32)})
    (got,) = run(lowered, {"x": steps.astype(np.int8)})
    assert np.abs(got * 2 * Y_STEP - wanted).max() <= 2 * Y_STEP


@pytest.mark.parametrize(("zero", "factor"), [(130, 1), (160, 2)])
def test_a_range_that_is_off_centre_is_held(zero: int, factor: int) -> None:
    x = Input(TensorType((1, 2, 5, 5)), name="x")
    layer = nn.Conv(held(x, X_STEP), real(WEIGHT, W_STEP, np.int8), name="layer")
    lowered, _ = quantized(make_graph("net", "nn", [x], [held(layer, Y_STEP, zero, np.uint8)]))
    assert lowered.outputs[0].type.scale == factor * Y_STEP
