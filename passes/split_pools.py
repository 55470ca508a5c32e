"""Pools that one layer cannot do, as several: large windows in steps, padding by a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import declare
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.prove import Deviations
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.passes.absorb_activation import non_negative

STEP_BOUND: Final = 2
"""An average in two steps is off by fewer integer steps than this: each step by less than one."""

STEPS = declare(
    "AX118",
    "the average over {kernel} values is computed in steps of {first} and {second}",
    """A pool sees up to 16x16 values. An average of averages is cut off twice, so that it differs
    from the average of all values by less than two integer steps.""",
    severity="note",
)


def padded_average(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """average_pool(x){pads} => average_pool(pad(x)): padding counts as zeros."""
    if isinstance(op, q.AveragePool) and any(op.pads):
        return replace(op, x=_pad(op), pads=())
    return None


def padded_maximum(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """max_pool(x){pads} => max_pool(pad(x)) where no value of x is below 0: a zero never wins."""
    if isinstance(op, q.MaxPool) and any(op.pads) and non_negative(op.x):
        return replace(op, x=_pad(op), pads=())
    return None


def _pad(op: q.MaxPool | q.AveragePool) -> q.Pad:
    half = len(op.pads) // 2
    pads = (0, 0, *op.pads[:half], 0, 0, *op.pads[half:])
    return q.Pad(op.x, pads, name=f"{op.name}_padded", loc=op.loc)


def whole_axis(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pool(x) with one output along an axis => the other axis' stride, which then changes nothing.

    Both strides of a layer are equal.
    """
    if not isinstance(op, q.MaxPool | q.AveragePool) or len(op.kernel) != 2:
        return None
    rows, columns = op.type.shape[2:]
    s, t = op.geometry.strides
    if s == t:
        return None
    made = None
    if columns == 1:
        made = replace(op, strides=(s, s))
    elif rows == 1:
        made = replace(op, strides=(t, t))
    return made if made is not None and made.type.shape == op.type.shape else None


def large_window(limit: int, ctx: PassContext) -> Rule:
    """Return the law for windows of more than `limit` rows or columns."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """pool_ab(x), one output => pool over b of pools over a (each with its stride).

        Exact for maxima; averages differ by less than two steps.
        """
        if not isinstance(op, q.MaxPool | q.AveragePool) or max(op.kernel) <= limit:
            return None
        if any(op.pads) or set(op.geometry.dilations) != {1}:
            return None
        first = _first_step(op.kernel, limit)
        if first is None:
            return None
        second = tuple(k // a for k, a in zip(op.kernel, first, strict=True))
        ones = all(n == 1 for n in op.type.shape[2:])
        stepping = op.geometry.strides == op.kernel
        if not ones and (not stepping or len(set(first)) > 1):
            return None
        inner = replace(op, kernel=first, strides=first, name=f"{op.name}_in")
        if isinstance(op, q.AveragePool):
            sizes = (dims(op.kernel), dims(first), dims(second))
            ctx.report(STEPS.at(op, kernel=sizes[0], first=sizes[1], second=sizes[2]))
            known = ctx.find(Deviations)
            ctx.give(Deviations({**(known.steps if known else {}), op.name: STEP_BOUND}))
        strides = second if stepping else (1, 1)
        made = replace(op, x=inner, kernel=second, strides=strides)
        return made if made.type.shape == op.type.shape else None

    return law


def sliding_maximum(limit: int) -> Rule:
    """Return the law for large windows that overlap."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """max_pool_k(x) => max over k - a + 1 of the maxima over a, which move by one."""
        if not isinstance(op, q.MaxPool) or max(op.kernel) <= limit:
            return None
        if any(op.pads) or set(op.geometry.dilations) != {1}:
            return None
        first = tuple(min(k, limit) for k in op.kernel)
        rest = tuple(k - a + 1 for k, a in zip(op.kernel, first, strict=True))
        inner = q.MaxPool(op.x, first, (1, 1), name=f"{op.name}_in", loc=op.loc)
        return replace(op, x=inner, kernel=rest)

    return law


def _first_step(kernel: tuple[int, ...], limit: int) -> tuple[int, ...] | None:
    """Return a window that the whole one consists of, both parts of at most `limit` values.

    Both strides of a layer are equal, so the steps are, unless one covers its axis at once.
    """
    for size in range(limit, 1, -1):
        equal = (size,) * len(kernel)
        if all(k % size == 0 and k // size <= limit for k in kernel):
            return equal
    large = max(kernel)
    for size in range(limit, 1, -1):
        if large % size == 0 and large // size <= limit and kernel.count(large) < len(kernel):
            return tuple(size if k == large else k for k in kernel)
    return None


@register
@dataclass(frozen=True)
class SplitPools(Pass):
    """Make pools of pools where windows are large, and padding explicit; see the laws."""

    name: ClassVar[str] = "split-pools"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with pools that a layer can do, where that is possible."""
        limit = ctx.need(Device).max_pool
        laws = (
            padded_average,
            padded_maximum,
            whole_axis,
            large_window(limit, ctx),
            sliding_maximum(limit),
        )
        return rewrite(graph, laws)
