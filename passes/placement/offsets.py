"""Where tensors lie in data memory, their processors being known.

Tensors that are tied move as one block. Two blocks exclude each other where members of both are
live at the same time in the same memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ai8xc.ir.core import Op
from ai8xc.passes.placement.intervals import lowest_free
from ai8xc.passes.placement.problem import Problem
from ai8xc.passes.placement.tensors import WORD, Tensor


@dataclass(frozen=True)
class Part:
    """A tensor within its block: bytes [low, high) from the block's offset, and its memories."""

    tensor: Tensor
    low: int
    high: int
    memories: int

    def meets(self, other: Part) -> bool:
        """Whether both are live at the same time in the same memory."""
        s, t = self.tensor, other.tensor
        together = s.first <= t.last and t.first <= s.last
        return together and bool(self.memories & other.memories)


@dataclass(frozen=True, eq=False)
class Block:
    """Tensors whose offsets are tied; `base` is the offset of its lowest part."""

    parts: tuple[Part, ...]
    floor: int

    @cached_property
    def size(self) -> int:
        """Bytes from the lowest to the highest byte."""
        return max(part.high for part in self.parts)

    @cached_property
    def weight(self) -> int:
        """Bytes times layers."""
        spans = (part.tensor.last - part.tensor.first + 1 for part in self.parts)
        return self.size * max(spans)

    @cached_property
    def begin(self) -> int:
        """The first layer at which something of it is live."""
        return min(part.tensor.first for part in self.parts)

    def forbidden(self, other: Block, base: int, problem: Problem) -> Iterator[tuple[int, int]]:
        """Yield where this block cannot lie (open intervals) when `other` lies at `base`."""
        part = problem.device.data_subinstance_bytes
        for mine in self.parts:
            for theirs in other.parts:
                if problem.apart(mine.tensor.op, theirs.tensor.op):
                    low, high = base + theirs.low, base + theirs.high
                    low, high = low // part * part, -(-high // part) * part
                    yield low - mine.high, high - mine.low
                if not mine.meets(theirs):
                    continue
                low, high = base + theirs.low - mine.high, base + theirs.high - mine.low
                before = problem.distance(theirs.tensor.op, mine.tensor.op)
                after = problem.distance(mine.tensor.op, theirs.tensor.op)
                if before is not None:
                    low = max(low, base + theirs.low - before - mine.low)
                if after is not None:
                    high = min(high, base + theirs.low + after - mine.low)
                yield low, high


@dataclass(frozen=True)
class Offsets:
    """A solution: the offset of each tensor, and the bytes that the fullest memory needs."""

    of: Mapping[Op, int]
    peak: int


def blocks_of(problem: Problem, starts: Mapping[Op, int]) -> list[Block]:
    """Return the blocks of a problem whose processors are known."""
    per_memory = problem.device.processors_per_memory
    found = []
    for members in problem.classes:
        low = min(distance for _, distance in members)
        parts = tuple(
            Part(
                tensor,
                distance - low - tensor.lead,
                distance - low + tensor.extent(problem.step(tensor.op)),
                tensor.memories(starts[tensor.op], per_memory),
            )
            for tensor, distance in members
        )
        found.append(Block(parts, max(0, *(-part.low for part in parts), 0)))
    return found


def solve(problem: Problem, starts: Mapping[Op, int], tries: int) -> Offsets:
    """Return offsets of low peak; the peak may exceed the memory, where nothing better is found.

    First fit in some good orders; then the block that made the peak goes first, and so on.
    """
    blocks = blocks_of(problem, starts)
    bound = 0 if problem.in_place else lower_bound(blocks)
    orders = (
        sorted(blocks, key=lambda b: (-b.size, b.begin)),
        sorted(blocks, key=lambda b: (-b.weight, b.begin)),
        sorted(blocks, key=lambda b: (b.begin, -b.size)),
    )
    best: tuple[int, dict[Block, int]] | None = None
    for order in orders:
        found = _improved(order, bound, tries, problem)
        if best is None or found[0] < best[0]:
            best = found
        if best[0] <= bound:
            break
    assert best is not None
    peak, places = best
    offsets: dict[Op, int] = {}
    for block, base in places.items():
        for part in block.parts:
            offsets[part.tensor.op] = base + part.low + part.tensor.lead
    return Offsets(offsets, peak)


def _improved(
    order: Sequence[Block], bound: int, tries: int, problem: Problem
) -> tuple[int, dict[Block, int]]:
    best = _first_fit(order, problem)
    current, order = best, list(order)
    for _ in range(tries):
        if best[0] <= bound:
            break
        culprit = max(order, key=lambda b: current[1][b] + b.size)
        order.remove(culprit)
        order.insert(0, culprit)
        current = _first_fit(order, problem)
        if current[0] < best[0]:
            best = current
    return best


def _first_fit(order: Sequence[Block], problem: Problem) -> tuple[int, dict[Block, int]]:
    places: dict[Block, int] = {}
    for block in order:
        taken = [
            interval
            for other, base in places.items()
            for interval in block.forbidden(other, base, problem)
        ]
        places[block] = lowest_free(block.floor, taken, WORD)
    return max((base + block.size for block, base in places.items()), default=0), places


def lower_bound(blocks: Sequence[Block]) -> int:
    """Return bytes that the fullest memory needs in any case: what is live in it at one time."""
    parts = [part for block in blocks for part in block.parts]
    times = sorted({part.tensor.first for part in parts})
    memories = max((part.memories.bit_length() for part in parts), default=0)
    best = max((block.size + block.floor for block in blocks), default=0)
    for time in times:
        live = [p for p in parts if p.tensor.first <= time <= p.tensor.last]
        for memory in range(memories):
            total = sum(_own_bytes(p) for p in live if p.memories >> memory & 1)
            best = max(best, total)
    return best


def _own_bytes(part: Part) -> int:
    """Return the bytes that only this tensor can use: not those between its words."""
    return part.tensor.extent(1)
