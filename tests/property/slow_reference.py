"""The integer level a second time: loops over single values in Python's integers.

Written from the hardware semantics (gathering, pooling, accumulating, scaling), not from the
interpreter; it is slow, and shares nothing with what it checks but the op classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Input, Op

Nested = Any  # a tensor without batch axis as an object array of Python integers
BITS = {"i8": 8, "i4": 4, "i2": 2, "i1": 1, "bin": 1}


def outputs(graph: Graph, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs of an integer graph for one sample (arrays without batch axis)."""
    known: dict[Op, Nested] = {}
    for op in graph.ops:
        if isinstance(op, Input):
            known[op] = inputs[op.name].astype(object)
        elif isinstance(op, q.Constant):
            known[op] = op.value.array.astype(object)
        else:
            known[op] = VALUE[type(op)](op, *(known[x] for x in op.operands))
    return [known[output].astype(np.int64) for output in graph.outputs]


def clamp(v: int) -> int:
    return min(127, max(-128, v))


def finished(op: Any, acc: int, bias: int) -> int:
    acc += 128 * bias
    if op.wide:
        return acc
    t = 7 - (op.output_shift + 8 - BITS[op.weight.type.element])
    y = clamp((acc + 2 ** (t - 1)) >> t if t > 0 else acc << -t)
    return {"none": y, "relu": max(0, y), "abs": min(127, abs(y))}[op.activation]


def at(x: Nested, where: tuple[int, ...]) -> int | None:
    """A value, None in the padding."""
    inside = all(0 <= i < n for i, n in zip(where, x.shape, strict=True))
    return x[where] if inside else None


def conv(op: q.Conv, x: Nested, weight: Nested, bias: Nested | None = None) -> Nested:
    g = op.geometry
    y = np.empty(op.type.shape[1:], object)
    per_group = weight.shape[1]
    for place in product(*map(range, y.shape)):
        m, *position = place
        first = m // (len(weight) // op.groups) * per_group
        acc = 0
        for c, *tap in product(*map(range, weight.shape[1:])):
            spot = [
                p * s + t * d - pad
                for p, s, t, d, pad in zip(
                    position, g.strides, tap, g.dilations, g.pads, strict=False
                )
            ]
            acc += weight[(m, c, *tap)] * (at(x, (first + c, *spot)) or 0)
        y[place] = finished(op, acc, 0 if bias is None else bias[m])
    return y


def conv_transpose(
    op: q.ConvTranspose, x: Nested, weight: Nested, bias: Nested | None = None
) -> Nested:
    g = op.geometry
    acc = np.zeros(op.type.shape[1:], object)
    per_group = weight.shape[1]
    for c, *position in product(*map(range, x.shape)):
        group = c // (x.shape[0] // op.groups)
        for m, *tap in product(*map(range, weight.shape[1:])):
            spot = [
                p * s + t * d - pad
                for p, s, t, d, pad in zip(
                    position, g.strides, tap, g.dilations, g.pads, strict=False
                )
            ]
            where = (group * per_group + m, *spot)
            if at(acc, where) is not None:
                acc[where] += x[(c, *position)] * weight[(c, m, *tap)]
    for place in product(*map(range, acc.shape)):
        acc[place] = finished(op, acc[place], 0 if bias is None else bias[place[0]])
    return acc


def linear(op: q.Linear, x: Nested, weight: Nested, bias: Nested | None = None) -> Nested:
    rows = []
    for m, row in enumerate(weight):
        acc = sum(int(w) * int(v) for w, v in zip(row, x, strict=True))
        rows.append(finished(op, acc, 0 if bias is None else bias[m]))
    return np.array(rows, object)


def window(op: Any, x: Nested, place: tuple[int, ...]) -> Iterator[int | None]:
    g = op.geometry
    channel, *position = place
    for tap in product(*map(range, op.kernel)):
        spot = [
            p * s + t * d - pad
            for p, s, t, d, pad in zip(position, g.strides, tap, g.dilations, g.pads, strict=False)
        ]
        yield at(x, (channel, *spot))


def max_pool(op: q.MaxPool, x: Nested) -> Nested:
    y = np.empty(op.type.shape[1:], object)
    for place in product(*map(range, y.shape)):
        y[place] = max(v for v in window(op, x, place) if v is not None)
    return y


def average_pool(op: q.AveragePool, x: Nested) -> Nested:
    y = np.empty(op.type.shape[1:], object)
    for place in product(*map(range, y.shape)):
        values = [v or 0 for v in window(op, x, place)]
        total, n = sum(values), len(values)
        size = (2 * abs(total) + n) // (2 * n) if op.rounding else abs(total) // n
        y[place] = size if total >= 0 else -size
    return y


def each(law: Callable[..., int]) -> Callable[..., Nested]:
    """A law for single values, applied to whole tensors."""

    def tensors(op: Op, *xs: Nested) -> Nested:
        return np.frompyfunc(law, len(xs), 1)(*xs)

    return tensors


VALUE: dict[type[Op], Callable[..., Nested]] = {
    q.Conv: conv,
    q.ConvTranspose: conv_transpose,
    q.Linear: linear,
    q.MaxPool: max_pool,
    q.AveragePool: average_pool,
    q.Relu: each(lambda v: max(v, 0)),
    q.Abs: each(lambda v: min(127, abs(v))),
    q.Add: each(lambda *vs: clamp(sum(vs))),
    q.Sub: each(lambda first, *vs: clamp(first - sum(vs))),
    q.Concat: lambda op, *xs: np.concatenate(xs, axis=op.axis - 1),
    q.Reshape: lambda op, x: x.reshape(op.shape[1:]),
}
