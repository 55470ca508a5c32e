"""Which tensors share one scale: what an add or a concat joins, and what only moves values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.types import same_scale
from ai8xc.passes.quantization.layers import WEIGHTED, Weighted, is_wide

_ORIGINS: Final = (Input, *WEIGHTED, nn.Add, nn.Sub, nn.Relu, nn.Clip, nn.Abs)


@dataclass(frozen=True)
class Group:
    """Tensors of one scale, in graph order.

    `origins` are those whose values count: the others pass on values of these. `pins` are the
    scales that are given for members; an input's comes first.
    """

    members: tuple[Op, ...]
    origins: tuple[Op, ...]
    pins: tuple[float, ...]

    @property
    def pinned(self) -> float | None:
        """The scale that the group must have: that of its input, or the one all pins agree on."""
        if not self.pins:
            return None
        agreed = all(same_scale(self.pins[0], pin) for pin in self.pins)
        return self.pins[0] if agreed or self.inputs else None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs of the network among the members."""
        return tuple(op for op in self.members if isinstance(op, Input))


def groups(graph: Graph, pins: Mapping[str, float], *, wide: bool) -> list[Group]:
    """Return the groups of all tensors but constants and wide outputs, ordered by first member.

    `pins` are the given scales by name of the tensor. `wide` says whether outputs may be wide;
    one with a given scale is not.
    """
    leader: dict[Op, Op] = {}
    for op in graph.ops:
        if isinstance(op, nn.Constant) or (wide and op.name not in pins and is_wide(op, graph)):
            continue
        leader[op] = op
        if isinstance(op, Input | Weighted):
            continue
        for operand in op.operands:
            if operand in leader:
                leader[_find(leader, operand)] = _find(leader, op)
    members: dict[Op, list[Op]] = {}
    for op in leader:
        members.setdefault(_find(leader, op), []).append(op)
    hidden = _rectified(graph)
    return [_group(found, hidden, pins) for found in members.values()]


def _group(members: list[Op], hidden: set[Op], pins: Mapping[str, float]) -> Group:
    origins = [op for op in members if isinstance(op, _ORIGINS) and op not in hidden]
    pinned = [op for op in members if op.name in pins]
    pinned.sort(key=lambda op: not isinstance(op, Input))
    return Group(tuple(members), tuple(origins), tuple(pins[op.name] for op in pinned))


def _rectified(graph: Graph) -> set[Op]:
    """Return ops of which only the positive values are read: limiting the others is harmless."""
    readers: dict[Op, list[Op]] = {}
    for op in graph.ops:
        for operand in op.operands:
            readers.setdefault(operand, []).append(op)
    return {
        op
        for op, found in readers.items()
        if op not in graph.outputs and all(_rectifies(reader) for reader in found)
    }


def _rectifies(op: Op) -> bool:
    return isinstance(op, nn.Relu) or (isinstance(op, nn.Clip) and op.low == 0)


def _find(leader: dict[Op, Op], op: Op) -> Op:
    while leader[op] is not op:
        leader[op] = leader[leader[op]]
        op = leader[op]
    return op
