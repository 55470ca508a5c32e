"""The search over processors; for each choice, offsets and columns are solved apart.

The first choice puts everything at processor 0: the simplest picture. The search goes on where it
does not fit, or where moving tensors lowers the peak of data memory or the highest kernel column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ai8xc.ir.core import Input, Op
from ai8xc.passes.placement import columns, offsets
from ai8xc.passes.placement.columns import Columns, Strip
from ai8xc.passes.placement.kernels import is_grouped
from ai8xc.passes.placement.offsets import Offsets
from ai8xc.passes.placement.problem import Problem

QUICK: Final = 2
THOROUGH: Final = 24
"""How often each solver moves what is in the way to the front: while searching, and at the end."""

EVALUATIONS_FITTING: Final = 160
EVALUATIONS_TIGHT: Final = 4000
"""Choices tried to improve a placement that fits, and to find one that does."""


@dataclass(frozen=True)
class Solution:
    """Processors, offsets and columns of one choice, with what it costs.

    `excess` is 0 where it fits: bytes above the memory plus columns above the capacity.
    """

    starts: Mapping[Op, int]
    offsets: Offsets
    columns: Columns
    excess: int
    load_words: int

    @property
    def cost(self) -> tuple[int, ...]:
        """What is compared, in order of importance (the last: how simple the picture is)."""
        spread = sum(self.starts.values())
        return (self.excess, self.offsets.peak, self.columns.highest, self.load_words, spread)


@dataclass(frozen=True)
class Group:
    """Tensors whose first processors are tied: distances from the group's start, and its width."""

    distances: Mapping[Op, int]
    width: int


@dataclass(frozen=True)
class Search:
    """One problem, with its groups of tensors."""

    problem: Problem

    @cached_property
    def groups(self) -> list[Group]:
        """The groups, in the order in which their tensors are written."""
        found: dict[Op, dict[Op, int]] = {}
        for op in self.problem.tensors:
            root, distance = self.problem.starts.find(op)
            found.setdefault(root, {})[op] = distance
        made = []
        for distances in found.values():
            low = min(distances.values())
            placed = {op: distance - low for op, distance in distances.items()}
            width = max(d + self.problem.tensors[op].width for op, d in placed.items())
            made.append(Group(placed, width))
        return made

    def choices(self, group: Group) -> range:
        """Return the first processors that a group can have."""
        device = self.problem.device
        if any(self.problem.tensors[op].fixed for op in group.distances):
            return range(1)
        return range(0, device.processors - group.width + 1, device.processors_per_memory)

    def starts(self, choice: Sequence[int]) -> dict[Op, int]:
        """Return the first processor of each tensor."""
        return {
            op: at + distance
            for group, at in zip(self.groups, choice, strict=True)
            for op, distance in group.distances.items()
        }

    def strips(self, starts: Mapping[Op, int]) -> list[Strip]:
        """Return the kernels of all layers; equal ones on equal processors are stored once."""
        layers = self.problem.layers
        found: dict[tuple[int, int, object], list[int]] = {}
        for number, layer in enumerate(layers):
            if self.needs[number]:
                mask = self.problem.source_mask(layer, starts)
                target = self.problem.tensors[layer].mask(starts[layer])
                key = (mask, target, self.problem.kernel_key(layer))
                found.setdefault(key, []).append(number)
        strips = []
        for (mask, _, _), numbers in found.items():
            first = layers[numbers[0]]
            strips.append(Strip(tuple(numbers), mask, self.needs[numbers[0]], is_grouped(first)))
        return strips

    @cached_property
    def needs(self) -> list[int]:
        """Kernel columns of each layer."""
        return [self.problem.columns(layer) for layer in self.problem.layers]

    def solution(self, choice: Sequence[int], tries: int) -> Solution:
        """Return offsets and columns for a choice."""
        starts, device = self.starts(choice), self.problem.device
        placed = offsets.solve(self.problem, starts, tries)
        packed = columns.solve(self.strips(starts), device, tries)
        over = max(0, placed.peak - device.data_memory_bytes)
        excess = over + packed.excess
        if not self.uses_first_group(starts):
            excess += 1
        return Solution(starts, placed, packed, excess, self.load_words)

    def uses_first_group(self, starts: Mapping[Op, int]) -> bool:
        """Whether some layer reads from, or the last one writes to, group 0 (NET-QUAD0)."""
        group = (1 << self.problem.device.processors_per_group) - 1
        layers = self.problem.layers
        masks = [self.problem.source_mask(layer, starts) for layer in layers]
        masks.append(self.problem.tensors[layers[-1]].mask(starts[layers[-1]]))
        return any(mask & group for mask in masks)

    @cached_property
    def load_words(self) -> int:
        """Words that loading the input takes."""
        total = 0
        for op, tensor in self.problem.tensors.items():
            if isinstance(op, Input):
                lanes = tensor.pattern.bit_count()
                memories = lanes if tensor.chw else -(-lanes // 4)
                total += memories * tensor.extent(1) // 4
        return total

    def run(self) -> Solution:
        """Return the best solution found."""
        seen: dict[tuple[int, ...], Solution] = {}
        best = None
        for choice in (tuple(0 for _ in self.groups), self.balanced(), self.spread()):
            found = self.evaluated(choice, seen)
            if best is None or found.cost < best[0].cost:
                best = (found, choice)
        assert best is not None
        choice = self.descend(best[1], seen)
        return min(self.solution(choice, THOROUGH), seen[choice], key=lambda s: s.cost)

    def evaluated(self, choice: tuple[int, ...], seen: dict[tuple[int, ...], Solution]) -> Solution:
        """Return the solution of a choice, computed once."""
        if choice not in seen:
            seen[choice] = self.solution(choice, QUICK)
        return seen[choice]

    def descend(
        self, choice: tuple[int, ...], seen: dict[tuple[int, ...], Solution]
    ) -> tuple[int, ...]:
        """Return the choice at which moving one group, or two, no longer helps."""
        best = self.evaluated(choice, seen)
        improved = True
        while improved and not self.done(best, seen):
            improved = False
            for other in self.neighbours(choice):
                if self.done(best, seen):
                    break
                found = self.evaluated(other, seen)
                if found.cost < best.cost:
                    best, choice, improved = found, other, True
                    break
        return choice

    def done(self, best: Solution, seen: Mapping[tuple[int, ...], Solution]) -> bool:
        """Whether enough has been tried, or nothing can be better."""
        if best.excess:
            return len(seen) >= EVALUATIONS_TIGHT // max(1, len(self.groups) // 4)
        if best.offsets.peak <= self.floor_bytes and best.columns.highest <= self.floor_columns:
            return True
        return len(seen) >= EVALUATIONS_FITTING

    @cached_property
    def floor_bytes(self) -> int:
        """Bytes that the fullest memory needs for any choice."""
        return bytes_bound(self.problem)[0]

    @cached_property
    def floor_columns(self) -> int:
        """Columns that the fullest processor needs for any choice."""
        return columns_bound(self.problem)

    def neighbours(self, choice: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield choices in which one group, then two, lie elsewhere."""
        movable = [i for i, group in enumerate(self.groups) if len(self.choices(group)) > 1]
        movable.sort(key=lambda i: -self.load(self.groups[i]))
        for i in movable:
            for at in self.choices(self.groups[i]):
                if at != choice[i]:
                    yield (*choice[:i], at, *choice[i + 1 :])
        for n, i in enumerate(movable):
            for j in movable[n + 1 :]:
                if choice[i] != choice[j]:
                    yield from self.swapped(choice, i, j)

    def swapped(self, choice: tuple[int, ...], i: int, j: int) -> Iterator[tuple[int, ...]]:
        """Yield the choice with two groups exchanged, if both can be there."""
        changed = list(choice)
        changed[i], changed[j] = choice[j], choice[i]
        if changed[i] in self.choices(self.groups[i]) and changed[j] in self.choices(
            self.groups[j]
        ):
            yield tuple(changed)

    def load(self, group: Group) -> int:
        """Return the kernel columns times processors that hang on a group."""
        return sum(
            needed * self.problem.tensors[layer.xs[0]].width
            for layer, needed in zip(self.problem.layers, self.needs, strict=True)
            if layer.xs[0] in group.distances
        )

    def balanced(self) -> tuple[int, ...]:
        """Return the choice in which each group takes the processors with fewest columns yet."""
        choice = [0] * len(self.groups)
        load = [0] * self.problem.device.processors
        order = sorted(range(len(self.groups)), key=lambda i: (-self.load(self.groups[i]), i))
        for i in order:
            group = self.groups[i]
            profile = self.profile(group)
            choice[i] = min(
                self.choices(group),
                key=lambda at: (max(load[at + k] + c for k, c in enumerate(profile)), at),
            )
            for k, c in enumerate(profile):
                load[choice[i] + k] += c
        return tuple(choice)

    def profile(self, group: Group) -> list[int]:
        """Return the kernel columns on each processor of a group."""
        columns = [0] * group.width
        for layer, needed in zip(self.problem.layers, self.needs, strict=True):
            if layer.xs[0] not in group.distances:
                continue
            mask = self.problem.source_mask(layer, group.distances)
            for k in range(group.width):
                columns[k] += needed * (mask >> k & 1)
        return columns

    def spread(self) -> tuple[int, ...]:
        """Return the choice in which each group takes the memories with fewest bytes live."""
        device = self.problem.device
        choice = [0] * len(self.groups)
        steps = len(self.problem.layers) + 2
        live = [[0] * device.memories for _ in range(steps)]
        order = sorted(range(len(self.groups)), key=lambda i: (-self.bytes(self.groups[i]), i))
        for i in order:
            group = self.groups[i]
            costs = {at: self.added(group, at, live) for at in self.choices(group)}
            choice[i] = min(costs, key=lambda at: (max(max(row) for row in costs[at]), at))
            live = costs[choice[i]]
        return tuple(choice)

    def bytes(self, group: Group) -> int:
        """Return the bytes of a group in one memory."""
        return sum(self.problem.tensors[op].extent(1) for op in group.distances)

    def added(self, group: Group, at: int, live: list[list[int]]) -> list[list[int]]:
        """Return the live bytes of each memory at each layer with a group at `at`."""
        after = [list(row) for row in live]
        per_memory = self.problem.device.processors_per_memory
        for op, distance in group.distances.items():
            tensor = self.problem.tensors[op]
            found = tensor.memories(at + distance, per_memory)
            for time in range(tensor.first + 1, tensor.last + 2):
                for memory in range(found.bit_length()):
                    after[time][memory] += tensor.extent(1) * (found >> memory & 1)
        return after


def bytes_bound(problem: Problem) -> tuple[int, int]:
    """Return bytes that some memory needs however tensors are placed, and the layer where.

    Tensors on more than half of the processors all touch the middle memory; and the sum over all
    memories is spread over no more than there are.
    """
    device = problem.device
    best = (0, 0)
    for time in range(-1, len(problem.layers) + 1):
        live = [t for t in problem.tensors.values() if t.first <= time <= t.last]
        wide = sum(t.extent(1) for t in live if t.width > device.processors // 2)
        total = sum(t.extent(1) * t.memories(0, 4).bit_count() for t in live)
        single = max((t.extent(problem.step(t.op)) + t.lead for t in live), default=0)
        best = max(best, (max(wide, -(-total // device.memories), single), -time))
    return best[0], -best[1]


def columns_bound(problem: Problem) -> int:
    """Return columns that some processor needs however layers are placed."""
    device = problem.device
    middle = total = single = 0
    for layer in problem.layers:
        needed = problem.columns(layer)
        distances = {x: problem.starts.find(x)[1] for x in layer.xs}
        low = min(distances.values())
        mask = problem.source_mask(layer, {x: d - low for x, d in distances.items()})
        if mask.bit_count() > device.processors // 2 and mask.bit_count() == mask.bit_length():
            middle += needed
        total += needed * mask.bit_count()
        single = max(single, needed)
    return max(middle, single, -(-total // device.processors))
