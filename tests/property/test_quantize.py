"""Random float networks become integer networks that are legal, close and exactly interpreted."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ai8xc.dialects import nn, q
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.interp import run, values
from ai8xc.ir.passes import PassContext
from ai8xc.ir.types import TensorType, same_scale
from ai8xc.ir.verify import verify
from ai8xc.passes.quantization.calibration import Calibration
from ai8xc.passes.quantize import Quantize

_SPEC = importlib.util.spec_from_file_location(
    "slow_reference", Path(__file__).with_name("slow_reference.py")
)
assert _SPEC
assert _SPEC.loader
slow_reference: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(slow_reference)

ENOUGH_DB = 15.0
"""Eight layers of random weights, each with 8-bit weights, biases and data, stay above this."""


@dataclass
class Maker:
    """Grows a random network; weights come from a seeded stream, choices from hypothesis."""

    draw: Any
    stream: np.random.RandomState
    tensors: list[Op]

    def const(self, shape: tuple[int, ...], size: float) -> nn.Constant:
        """Weights of about this size, none near 0: a layer must not all but remove its data."""
        values = self.stream.uniform(0.3, 1.5, shape) * self.stream.choice([-1, 1], shape) * size
        return nn.Constant(Data(values.astype(np.float32)))

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def conv(self, x: Op) -> Op:
        channels = x.type.shape[1]
        groups = self.pick(1, channels)
        out = groups * self.pick(1, 2)
        kernel = self.pick(1, 3)
        fan_in = channels // groups * kernel**2
        weight = self.const((out, channels // groups, kernel, kernel), 1 / math.sqrt(fan_in))
        bias = self.pick(None, self.const((out,), 0.2))
        pads = (kernel // 2,) * 4
        act = self.pick("none", "relu", "abs")
        limit = self.pick(math.inf, math.inf, 1.0)
        return nn.Conv(x, weight, bias, pads=pads, groups=groups, activation=act, limit=limit)

    def conv_transpose(self, x: Op) -> Op:
        channels = x.type.shape[1]
        weight = self.const((channels, 2, 3, 3), 1 / math.sqrt(channels * 4))
        bias = self.pick(None, self.const((2,), 0.2))
        return nn.ConvTranspose(x, weight, bias, (2, 2), (1, 1, 1, 1), output_padding=(1, 1))

    def pool(self, x: Op) -> Op:
        if min(x.type.shape[2:]) < 2:
            return nn.Relu(x)
        kind = self.pick(nn.MaxPool, nn.AveragePool)
        return kind(x, (2, 2), self.pick((1, 1), (2, 2)))

    def join(self, x: Op) -> Op:
        alike = [t for t in self.tensors if t.type.shape == x.type.shape and t is not x]
        if not alike:
            return nn.Concat((x, self.conv(x))) if x.type.shape[2:] == (1, 1) else self.conv(x)
        kind = self.pick("add", "sub", "concat")
        other = self.pick(*alike)
        if kind == "concat":
            return nn.Concat((x, other))
        return nn.Add(x, other) if kind == "add" else nn.Sub(x, other)

    def grow(self) -> None:
        x = self.pick(*self.tensors[-2:])
        small = x.type.size < 100
        steps = [self.conv, self.conv, self.pool, self.join, self.join]
        self.tensors.append(self.pick(*steps, *[self.conv_transpose] * small)(x))


@st.composite
def networks(draw: Any) -> Graph:
    stream = np.random.RandomState(draw(st.integers(0, 2**31 - 1)))
    size = draw(st.integers(2, 5))
    x = Input(TensorType((1, draw(st.integers(1, 3)), size, size)), name="x")
    maker = Maker(draw, stream, [x])
    for _ in range(draw(st.integers(1, 6))):
        maker.grow()
    last = maker.conv(maker.tensors[-1])
    if draw(st.booleans()):
        flat = nn.Reshape(last, (1, last.type.size))
        last = nn.Linear(flat, maker.const((3, last.type.size), 0.5), maker.const((3,), 0.1))
    return make_graph("net", "nn", [x], [last])


def samples_of(graph: Graph, count: int) -> np.ndarray:
    steps = np.random.RandomState(0).randint(-128, 128, (count, *graph.inputs[0].type.shape[1:]))
    return (steps / 128).astype(np.float32)


def steps_of(x: np.ndarray) -> np.ndarray:
    return np.rint(x * 128).astype(np.int8)


def check(graph: Graph, lowered: Graph) -> None:
    """What must hold of every integer graph."""
    assert not verify(lowered)
    for op in lowered.ops:
        assert isinstance(op, Input) or op.opcode.startswith("q.")
        if isinstance(op, q.Add | q.Sub | q.Concat):
            assert all(same_scale(x.type.scale, op.type.scale) for x in op.xs)
    x = samples_of(graph, 2)
    got = run(lowered, {"x": steps_of(x)})
    for index in range(len(x)):
        wanted = slow_reference.outputs(lowered, {"x": steps_of(x)[index]})
        for found, exact in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(found[index], exact)


def signal_to_noise(graph: Graph, lowered: Graph, x: np.ndarray) -> float:
    """In dB; large where the result is so small that its rounding is all there is."""
    (real,), (got,) = run(graph, {"x": x}), run(lowered, {"x": steps_of(x)})
    scale = lowered.outputs[0].type.scale
    assert scale is not None
    error = float(np.sqrt(np.mean((got * scale - real) ** 2)))
    return 20 * math.log10(float(np.sqrt(np.mean(real**2))) / error) if error > scale else math.inf


def is_hard(graph: Graph, ctx: PassContext, x: np.ndarray) -> bool:
    """Whether a low ratio is the network's fault: tensors cancel, or a limit cannot be kept."""
    known = {op: float(np.sqrt(np.mean(np.square(v)))) for op, v in values(graph, {"x": x})}
    for op in graph.ops:
        if any(known[op] < known[operand] / 8 for operand in op.operands if operand.operands):
            return True
        if isinstance(op, nn.Concat) and max(map(known.get, op.xs)) > 8 * min(
            map(known.get, op.xs)
        ):
            return True
    return any(finding.rule.id == "Q014" for finding in ctx.diagnostics)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(networks())
def test_data_free(graph: Graph) -> None:
    ctx = PassContext()
    lowered = Quantize().run(graph, ctx)
    check(graph, lowered)
    samples = samples_of(graph, 20)
    assume(not is_hard(graph, ctx, samples))
    assert signal_to_noise(graph, lowered, samples) > ENOUGH_DB


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks(), st.sampled_from([8, 4, 2, 1]), st.booleans(), st.booleans())
def test_calibrated(graph: Graph, bits: int, adaptive: bool, rounding: bool) -> None:
    samples = samples_of(graph, 30)
    step = Quantize(bits, average_rounding=rounding, adaptive_rounding=adaptive)
    ctx = PassContext(Calibration({"x": samples}))
    lowered = step.run(graph, ctx)
    check(graph, lowered)
    if bits == 8 and not is_hard(graph, ctx, samples):
        assert signal_to_noise(graph, lowered, samples) > ENOUGH_DB
