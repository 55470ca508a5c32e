"""Between the user's inputs and outputs and those of the hardware level.

Lowering gives the input four axes and may fold it; outputs keep four axes. The attributes
`input_shapes`, `output_shapes` and `fold` of a graph tell how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ai8xc.ir.core import Graph, Input
from ai8xc.ir.types import Array


def fold(x: Array, strides: tuple[int, int]) -> Array:
    """Return N x C x H x W data with rows and columns folded into channels.

    Channel (c * s + i) * t + j at (y, x) is channel c at (y * s + i, x * t + j).
    """
    n, channels, rows, columns = x.shape
    s, t = strides
    split = x.reshape(n, channels, rows // s, s, columns // t, t)
    return split.transpose(0, 1, 3, 5, 2, 4).reshape(n, channels * s * t, rows // s, columns // t)


def to_hardware(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return inputs in the user's shapes (batch first) as the inputs of a graph."""
    return {x.name: shaped(graph, x, inputs[x.name]) for x in graph.inputs}


def shaped(graph: Graph, x: Input, value: Array) -> Array:
    """Return one input in the user's shape as the input `x` of a graph has it."""
    strides = graph.get("fold")
    if isinstance(strides, tuple):
        rank4 = value.reshape(*value.shape, *(1,) * (4 - value.ndim))
        value = fold(rank4, (strides[0], strides[1]))
    return value.reshape(value.shape[0], *x.type.shape[1:])


def from_hardware(graph: Graph, outputs: Sequence[Array]) -> tuple[Array, ...]:
    """Return the outputs of a graph (batch first) in the user's shapes."""
    shapes = graph.get("output_shapes")
    if not isinstance(shapes, tuple):
        return tuple(outputs)
    return tuple(
        value.reshape(value.shape[0], *shape[1:])
        for value, shape in zip(outputs, shapes, strict=True)
    )
