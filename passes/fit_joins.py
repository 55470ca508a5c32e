"""Joined tensors of several passes: in turn, or cut where one pass ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.layers.limits import lanes_of, passes_of
from ai8xc.passes.remove_dead_ops import RemoveDeadOps

_OTHER: Final = "_turns"
"""Ends the names of values whose channels have another order than those of the network."""


@dataclass(frozen=True)
class Piece:
    """Channels [low, high) of a part, which begin at channel `at` of the whole."""

    part: Op
    at: int
    low: int
    high: int

    @property
    def whole(self) -> bool:
        """Whether this is all of the part."""
        return self.high - self.low == self.part.type.shape[1]


def joined_in_passes(op: Op, uses: Mapping[Op, int], device: Device) -> Op | None:
    """concat(a, b...) => concat of pieces, each within one pass of up to 64 channels.

    A layer that nobody else reads becomes one layer for each piece, which is no more work; pieces
    of others are copied. Or each pass is copied from the parts that it holds, where that takes
    fewer layers.
    """
    if not isinstance(op, q.Concat) or op.axis != 1 or len(op.type.shape) != 4 or op.turn:
        return None
    channels = op.type.shape[1]
    if channels <= device.processors:
        return None
    owned = dict(_parts(op, uses, owned=True))
    blocks = list(_blocks(list(owned), channels, lanes_of(channels, device)))
    pieces = [piece for block in blocks for piece in block]
    aligned = all(piece.at % device.processors_per_memory == 0 for piece in pieces)
    if sum(part.type.shape[1] for part in owned) < channels:
        return None  # the same tensor twice
    copies = sum(not owned[p.part] for p in pieces if not p.whole or uses[p.part] > 1)
    copied = all(_fits_one_pass(block, device) for block in blocks)
    if aligned and (copies <= len(blocks) or not copied):
        return replace(op, xs=tuple(_piece(p, n, owned) for n, p in enumerate(pieces)))
    if not copied:
        return None
    return replace(op, xs=tuple(_block(op, block, n) for n, block in enumerate(blocks)))


def in_turn(op: Op, readers: Mapping[Op, Sequence[Op]], device: Device) -> Op | None:
    """concat(a, b...) => passes of a, b... in turn, where convolutions can be told the order.

    The layers that make the parts leave room for the passes of the others between their own: the
    parts have equal sizes of several full passes. Nobody else reads them.
    """
    if not isinstance(op, q.Concat) or op.axis != 1 or len(op.type.shape) != 4 or op.turn:
        return None
    lanes = device.processors
    sizes = {x.type.shape[1] for x in op.xs}
    step = passes_of(max(sizes), device) * len(op.xs)
    equal = len(sizes) == 1 and max(sizes) > lanes and not max(sizes) % lanes
    alone = all(_splits(x) and len(readers[x]) == 1 for x in op.xs) and len({*op.xs}) > 1
    if not equal or not alone or step >= device.write_step_limit:
        return None
    if _told(op, readers) is None:
        return None
    return replace(op, turn=lanes, name=f"{op.name}{_OTHER}")


def _told(op: Op, readers: Mapping[Op, Sequence[Op]]) -> list[q.Conv] | None:
    """Return the convolutions that read an op, also through pools; None where others do."""
    found: list[q.Conv] = []
    for reader in readers.get(op, ()):
        if isinstance(reader, q.MaxPool | q.AveragePool):
            behind = _told(reader, readers)
            if behind is None:
                return None
            found += behind
        elif isinstance(reader, q.Conv) and _splits(reader):
            found.append(reader)
        else:
            return None
    return found or None


def _parts(op: q.Concat, uses: Mapping[Op, int], *, owned: bool) -> Iterator[tuple[Op, bool]]:
    """Yield what is joined, through joins of joins, and whether it can be cut where it is made."""
    for x in op.xs:
        alone = owned and uses[x] == 1
        if isinstance(x, q.Concat) and x.axis == 1:
            yield from _parts(x, uses, owned=alone)
        else:
            yield x, alone and _splits(x)


def _blocks(parts: Sequence[Op], channels: int, lanes: int) -> Iterator[list[Piece]]:
    """Yield the pieces of each pass."""
    for first in range(0, channels, lanes):
        end, at = min(first + lanes, channels), 0
        block = []
        for part in parts:
            size = part.type.shape[1]
            low, high = max(first, at), min(end, at + size)
            if low < high:
                block.append(Piece(part, low - first, low - at, high - at))
            at += size
        yield block


def _splits(part: Op) -> bool:
    if not isinstance(part, q.Conv | q.ConvTranspose):
        return False
    return part.groups == 1 and isinstance(part.weight, q.Constant)


def _piece(piece: Piece, number: int, owned: Mapping[Op, bool]) -> Op:
    part = piece.part
    if piece.whole:
        return part
    name = f"{part.name}_piece{number}"
    if not owned[part]:
        starts, ends = (0, piece.low, 0, 0), (1, piece.high, *part.type.shape[2:])
        return q.Slice(part, starts, ends, (1,) * 4, name=name, loc=part.loc)
    assert isinstance(part, q.Conv | q.ConvTranspose)
    assert isinstance(part.weight, q.Constant)
    outputs, bias, array = slice(piece.low, piece.high), part.bias, part.weight.value.array
    if isinstance(bias, q.Constant):
        bias = replace(bias, value=Data(bias.value.array[outputs]))
    kept = array[outputs] if isinstance(part, q.Conv) else array[:, outputs]
    return replace(part, weight=replace(part.weight, value=Data(kept)), bias=bias, name=name)


def _fits_one_pass(block: Sequence[Piece], device: Device) -> bool:
    """Whether the parts of a pass, whole, can be read side by side."""
    step = device.processors_per_memory
    sizes = [piece.part.type.shape[1] for piece in block]
    return sum(-(-size // step) * step for size in sizes[:-1]) + sizes[-1] <= device.processors


def _block(op: q.Concat, block: Sequence[Piece], number: int) -> Op:
    """Return the channels of one pass, to be copied."""
    name = f"{op.name}_pass{number}"
    parts = tuple(piece.part for piece in block)
    whole = parts[0]
    if len(parts) > 1:
        whole = q.Concat(parts, name=f"{name}_parts", loc=op.loc)
    low, count = block[0].low, sum(piece.high - piece.low for piece in block)
    ends = (1, low + count, *op.type.shape[2:])
    return q.Slice(whole, (0, low, 0, 0), ends, (1,) * 4, name=name, loc=op.loc)


@register
@dataclass(frozen=True)
class FitJoins(Pass):
    """Joins of more than 64 channels in turn, or cut into passes; see the laws.

    `turns` allows the order that the vendor's descriptions have no word for.
    """

    turns: bool = True

    name: ClassVar[str] = "fit-joins"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with joins that have a layout, where there is one."""
        device = ctx.need(Device)
        if self.turns:
            graph = _turned(graph, device)
        uses = graph.uses
        cut = {op: made for op in graph.ops if (made := joined_in_passes(op, uses, device))}
        if all(made.operands == op.operands for op, made in cut.items()):
            return graph
        new: dict[Op, Op] = {}
        for op in graph.ops:
            new[op] = _rebuilt(cut.get(op, op), new)
        outputs = [new[op] for op in graph.outputs]
        joined = make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
        return RemoveDeadOps().run(joined, ctx)


def _turned(graph: Graph, device: Device) -> Graph:
    """Return the graph with joins in turn, where they can be."""
    readers: dict[Op, list[Op]] = {}
    for op in graph.ops:
        for x in op.operands:
            readers.setdefault(x, []).append(op)
    for output in graph.outputs:
        readers.setdefault(output, []).append(output)  # read in the order that it has
    joins = {op: made for op in graph.ops if (made := in_turn(op, readers, device))}
    turned: set[Op] = set(joins)
    told = {conv: join for join in joins for conv in _told(join, readers) or ()}
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = joins.get(op, op).with_operands(new)
        if op in told and isinstance(current, q.Conv):
            current = _reordered(current, told[op], device.processors)
        elif isinstance(op, q.MaxPool | q.AveragePool) and op.x in turned:
            turned.add(op)
            current = replace(current, name=f"{op.name}{_OTHER}")
        new[op] = current
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def _reordered(conv: q.Conv, join: Op, lanes: int) -> q.Conv:
    """Return a convolution with its weights in the order of a join in turn."""
    assert isinstance(conv.weight, q.Constant)
    order = np.arange(join.type.shape[1]).reshape(len(join.operands), -1, lanes)
    array = conv.weight.value.array[:, order.transpose(1, 0, 2).ravel()]
    return replace(conv, weight=replace(conv.weight, value=Data(array)))


def _rebuilt(op: Op, new: Mapping[Op, Op]) -> Op:
    """Return an op, and what was made for it, on the ops of the new graph."""
    made = {x: new.get(x) or _rebuilt(x, new) for x in op.operands}
    return op.with_operands(made)
