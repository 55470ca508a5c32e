"""Which tensors share one scale: what an add or a concat joins, and what only moves values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.passes.quantization.layers import Weighted, is_wide


@dataclass(frozen=True)
class Group:
    """Tensors of one scale, in graph order; `pinned` is the scale where it is given."""

    members: tuple[Op, ...]
    pinned: float | None = None

    def origins(self) -> Iterator[Op]:
        """Yield the members that compute new values (others pass on those of a member)."""
        for op in self.members:
            if isinstance(op, Input | Weighted | nn.Add | nn.Sub | nn.Relu | nn.Clip | nn.Abs):
                yield op


def groups(graph: Graph, pins: Mapping[str, float], *, wide: bool) -> list[Group]:
    """Return the groups of all tensors but constants and wide outputs, ordered by first member.

    `pins` are the given scales by name; the first one of a group counts. `wide` says whether
    outputs may be wide.
    """
    leader: dict[Op, Op] = {}
    for op in graph.ops:
        if isinstance(op, nn.Constant) or (wide and is_wide(op, graph)):
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
    return [Group(tuple(found), _pin(found, pins)) for found in members.values()]


def _find(leader: dict[Op, Op], op: Op) -> Op:
    while leader[op] is not op:
        leader[op] = leader[leader[op]]
        op = leader[op]
    return op


def _pin(members: list[Op], pins: Mapping[str, float]) -> float | None:
    return next((pins[op.name] for op in members if op.name in pins), None)
