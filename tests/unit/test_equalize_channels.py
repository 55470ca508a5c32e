"""Channel equalisation keeps the function and narrows the ranges."""

from __future__ import annotations

import numpy as np
import pytest

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.interp import run
from ai8xc.ir.passes import PassContext
from ai8xc.ir.types import TensorType
from ai8xc.passes.equalize_channels import EqualizeChannels
from ai8xc.passes.quantize import Quantize

SPREAD = np.geomspace(0.01, 1, 4).astype(np.float32)
"""How the channels of a first layer differ, as after folding batch norms; the second evens out."""


def const(array: object, name: str) -> nn.Constant:
    return nn.Constant(Data(np.asarray(array, np.float32)), name=name)


def depthwise(x: Op, stream: np.random.RandomState) -> Op:
    weight = stream.normal(size=(4, 1, 3, 3)) / SPREAD.reshape(-1, 1, 1, 1)
    return nn.Conv(x, const(weight, "w2"), const(np.ones(4), "b2"), groups=4, name="second")


def grouped(x: Op, stream: np.random.RandomState) -> Op:
    weight = stream.normal(size=(2, 3, 2, 3, 3)) / SPREAD.reshape(2, 1, 2, 1, 1)
    return nn.Conv(x, const(weight.reshape(6, 2, 3, 3), "w2"), groups=2, name="second")


def transposed(x: Op, stream: np.random.RandomState) -> Op:
    weight = stream.normal(size=(4, 3, 3, 3)) / SPREAD.reshape(-1, 1, 1, 1)
    return nn.ConvTranspose(x, const(weight, "w2"), strides=(2, 2), groups=2, name="second")


def flattened(x: Op, stream: np.random.RandomState) -> Op:
    flat = nn.Reshape(nn.MaxPool(x, (2, 2), (2, 2)), (1, 36))
    weight = stream.normal(size=(5, 36)) / SPREAD.repeat(9)
    return nn.Linear(flat, const(weight, "w2"), name="second")


def network(build: object, *, first_transposed: bool = False, limit: float = np.inf) -> Graph:
    stream = np.random.RandomState(3)
    x = Input(TensorType((1, 4, 6, 6)), name="x")
    bias = const(stream.normal(size=4) * SPREAD, "b1")
    if first_transposed:
        weight = stream.normal(size=(2, 2, 2, 3, 3)) * SPREAD.reshape(2, 1, 2, 1, 1)
        weight = weight.reshape(4, 2, 3, 3)
        first: Op = nn.ConvTranspose(
            x, const(weight, "w1"), bias, pads=(1, 1, 1, 1), groups=2, activation="relu"
        )
    else:
        weight = stream.normal(size=(4, 4, 3, 3)) * SPREAD.reshape(-1, 1, 1, 1)
        first = nn.Conv(
            x, const(weight, "w1"), bias, pads=(1, 1, 1, 1), activation="relu", limit=limit
        )
    return make_graph("net", "nn", [x], [build(first, stream)])  # type: ignore[operator]


@pytest.mark.parametrize("first_transposed", [False, True])
@pytest.mark.parametrize("build", [depthwise, grouped, transposed, flattened])
def test_function_stays_and_ranges_narrow(build: object, first_transposed: bool) -> None:
    before = network(build, first_transposed=first_transposed)
    after = EqualizeChannels().run(before, PassContext())
    assert after is not before
    x = np.random.RandomState(5).uniform(-1, 1, (7, 4, 6, 6)).astype(np.float32)
    np.testing.assert_allclose(
        run(after, {"x": x})[0], run(before, {"x": x})[0], rtol=1e-4, atol=1e-5
    )
    again = EqualizeChannels().run(after, PassContext())
    assert again is after


def test_quantised_network_profits() -> None:
    before = network(depthwise)
    after = EqualizeChannels().run(before, PassContext())
    x = np.random.RandomState(5).uniform(-1, 1, (40, 4, 6, 6)).astype(np.float32)
    real = run(before, {"x": x})[0]

    def noise(graph: Graph) -> float:
        lowered = Quantize().run(graph, PassContext())
        (got,) = run(lowered, {"x": np.clip(np.rint(x * 128), -128, 127).astype(np.int8)})
        error = got * lowered.outputs[0].type.scale - real
        weak = np.abs(error).mean(axis=(0, 2, 3)) / real.std(axis=(0, 2, 3))
        return float(weak.max())

    assert noise(after) < noise(before) / 2


@pytest.mark.parametrize("limit", [6.0])
def test_a_limit_keeps_the_pair_as_it_is(limit: float) -> None:
    before = network(depthwise, limit=limit)
    assert EqualizeChannels().run(before, PassContext()) is before


def test_a_second_reader_keeps_the_pair_as_it_is() -> None:
    before = network(grouped)
    first = next(op for op in before.ops if op.name == "conv")
    shared = make_graph("net", "nn", before.ops, [*before.outputs, nn.Abs(first)])
    assert EqualizeChannels().run(shared, PassContext()) is shared
