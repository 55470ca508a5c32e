"""Joined tensors of several passes: cut where one pass ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Data, Graph, Op, make_graph
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.layers.limits import lanes_of
from ai8xc.passes.remove_dead_ops import RemoveDeadOps


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
    if not isinstance(op, q.Concat) or op.axis != 1 or len(op.type.shape) != 4:
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
    """Cut joined tensors of more than 64 channels into passes; see the law."""

    name: ClassVar[str] = "fit-joins"
    needs: ClassVar[frozenset[str]] = frozenset({"q", "rank4"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with joins that have a layout, where there is one."""
        device, uses = ctx.need(Device), graph.uses
        cut = {op: made for op in graph.ops if (made := joined_in_passes(op, uses, device))}
        if all(made.operands == op.operands for op, made in cut.items()):
            return graph
        new: dict[Op, Op] = {}
        for op in graph.ops:
            new[op] = _rebuilt(cut.get(op, op), new)
        outputs = [new[op] for op in graph.outputs]
        joined = make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
        return RemoveDeadOps().run(joined, ctx)


def _rebuilt(op: Op, new: Mapping[Op, Op]) -> Op:
    """Return an op, and what was made for it, on the ops of the new graph."""
    made = {x: new.get(x) or _rebuilt(x, new) for x in op.operands}
    return op.with_operands(made)
