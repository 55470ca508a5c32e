"""The search over processors; for each choice, offsets and columns are solved apart.

The first choice puts everything at processor 0: the simplest picture. The search goes on where it
does not fit, or where moving tensors lowers the peak of data memory or the highest kernel column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from ai8xc.ir.core import Input, Op
from ai8xc.ir.types import Array
from ai8xc.passes.placement import columns, offsets
from ai8xc.passes.placement.bounds import Loads, bytes_bound, columns_bound
from ai8xc.passes.placement.columns import Columns, Strip
from ai8xc.passes.placement.groups import Group, groups_of, starts_of
from ai8xc.passes.placement.kernels import is_grouped
from ai8xc.passes.placement.offsets import Offsets
from ai8xc.passes.placement.problem import Problem

QUICK: Final = 2
THOROUGH: Final = 24
"""How often each solver moves what is in the way to the front: while searching, and at the end."""

SHARES: Final = 8
"""Parts of the data memory in which peaks are compared."""

EVALUATIONS_FITTING: Final = 160
EVALUATIONS_TIGHT: Final = 400
"""Choices tried to improve a placement that fits, and to find one that does."""


@dataclass(frozen=True)
class Solution:
    """Processors, offsets and columns of one choice, with what it costs.

    `excess` is 0 where it fits: bytes above the memory plus columns above the capacity. `slots`
    are the cycles that layers without operator take for moving data, which depend on how their
    processors are spread over groups. `share` is the data memory in use, in parts of `SHARES`.
    """

    starts: Mapping[Op, int]
    offsets: Offsets
    columns: Columns
    excess: int
    slots: int
    share: int
    load_words: int

    @property
    def cost(self) -> tuple[int, ...]:
        """What is compared, in order of importance (the last: how simple the picture is).

        A lower peak counts in large steps first: kernels are stored as low as they can be where
        the data memory has room.
        """
        peak, highest = self.offsets.peak, self.columns.highest
        spread = sum(self.starts.values())
        return (self.excess, self.slots, self.share, highest, peak, self.load_words, spread)


@dataclass(frozen=True)
class Search:
    """One problem, with its groups of tensors."""

    problem: Problem

    @cached_property
    def groups(self) -> list[Group]:
        """The groups of tensors that move together."""
        return groups_of(self.problem)

    @cached_property
    def loads(self) -> Loads:
        """What each group needs."""
        return Loads(self.problem, self.groups)

    def strips(self, starts: Mapping[Op, int]) -> list[Strip]:
        """Return the kernels of all layers; equal ones on equal processors are stored once."""
        layers = self.problem.layers
        found: dict[tuple[int, int, object], list[int]] = {}
        for number, layer in enumerate(layers):
            if self.needs[number]:
                mask = self.problem.source_mask(layer, starts)
                target = self.problem.tensors[layer].mask(starts[layer])
                key = (mask, target, (self.problem.kernel_key(layer), layer.mode.calcx4))
                found.setdefault(key, []).append(number)
        strips = []
        for (mask, _, _), numbers in found.items():
            first = layers[numbers[0]]
            needed, four = self.needs[numbers[0]], first.mode.calcx4
            strips.append(Strip(tuple(numbers), mask, needed, is_grouped(first), four))
        return strips

    @cached_property
    def needs(self) -> list[int]:
        """Kernel columns of each layer."""
        return [self.problem.columns(layer) for layer in self.problem.layers]

    def solution(
        self, choice: Sequence[int], tries: int, most: int | None = None
    ) -> Solution | None:
        """Return offsets and columns for a choice; None where its excess is above `most`."""
        starts, device = starts_of(self.groups, choice), self.problem.device
        packed = columns.solve(self.strips(starts), device, tries)
        if most is not None and packed.excess > most:
            return None
        placed = offsets.solve(self.problem, starts, tries)
        over = max(0, placed.peak - device.data_memory_bytes)
        excess = over + packed.excess
        if not self.uses_first_group(starts):
            excess += 1
        slots, share = self.loads.slots(choice), self.share(placed.peak)
        return Solution(starts, placed, packed, excess, slots, share, self.load_words)

    def share(self, peak: int) -> int:
        """Return the parts of the data memory that so many bytes take."""
        return -(-peak * SHARES // self.problem.device.data_memory_bytes)

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
        first = tuple(0 for _ in self.groups)
        choices = [first] if self.hopeless else [first, self.balanced(), self.spread()]
        found = [(solution, c) for c in choices if (solution := self.solution(c, QUICK))]
        best, choice = min(found, key=lambda pair: pair[0].cost)
        if not self.hopeless:
            best, choice = self.descend(best, choice)
        thorough = self.solution(choice, THOROUGH)
        return min((thorough, best), key=lambda s: s.cost) if thorough else best

    def descend(self, best: Solution, choice: tuple[int, ...]) -> tuple[Solution, tuple[int, ...]]:
        """Return the choice at which moving one group, or two, no longer helps."""
        seen: set[tuple[int, ...]] = {choice}
        improved = True
        while improved and not self.done(best, seen):
            improved = False
            for other in self.neighbours(choice):
                if self.done(best, seen):
                    break
                if other in seen or self.least(other) >= best.cost:
                    continue
                seen.add(other)
                found = self.solution(other, QUICK, best.excess)
                if found is not None and found.cost < best.cost:
                    best, choice, improved = found, other, True
                    break
        return best, choice

    def least(self, choice: tuple[int, ...]) -> tuple[int, ...]:
        """Return a lower bound of the cost of a choice."""
        device = self.problem.device
        peak, highest = self.loads.bytes(choice), self.loads.columns(choice)
        excess = max(0, peak - device.data_memory_bytes)
        excess += max(0, highest - max(device.kernel_columns, device.kernel_columns_large))
        slots = self.loads.slots(choice)
        return (excess, slots, self.share(max(peak, self.floor_bytes)), highest)

    def done(self, best: Solution, seen: AbstractSet[tuple[int, ...]]) -> bool:
        """Whether enough has been tried, or nothing can be better."""
        if best.excess:
            return len(seen) >= EVALUATIONS_TIGHT
        low = best.share <= self.share(self.floor_bytes) and best.slots <= self.loads.fewest_slots
        if low and best.columns.highest <= self.floor_columns:
            return True
        return len(seen) >= EVALUATIONS_FITTING

    @cached_property
    def hopeless(self) -> bool:
        """Whether no choice fits."""
        device = self.problem.device
        columns = max(device.kernel_columns, device.kernel_columns_large)
        return self.floor_bytes > device.data_memory_bytes or self.floor_columns > columns

    @cached_property
    def floor_bytes(self) -> int:
        """Bytes that the fullest memory needs for any choice."""
        return bytes_bound(self.problem)[0]

    @cached_property
    def floor_columns(self) -> int:
        """Columns that the fullest processor needs for any choice."""
        return columns_bound(self.problem)

    def neighbours(self, choice: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield choices in which one group, then two, lie elsewhere; the heaviest groups first."""
        weights = [int(profile.sum()) for profile in self.loads.column_profiles]
        movable = [i for i, group in enumerate(self.groups) if len(group.choices) > 1]
        movable.sort(key=lambda i: -weights[i])
        for i in movable:
            for at in self.groups[i].choices:
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
        if changed[i] in self.groups[i].choices and changed[j] in self.groups[j].choices:
            yield tuple(changed)

    def balanced(self) -> tuple[int, ...]:
        """Return the choice in which each group takes the processors with fewest columns yet."""
        profiles = [profile[None] for profile in self.loads.column_profiles]
        return self.greedy(profiles, self.problem.device.processors, 1)

    def spread(self) -> tuple[int, ...]:
        """Return the choice in which each group takes the memories with fewest bytes live."""
        device = self.problem.device
        share = device.processors_per_memory
        return self.greedy(self.loads.byte_profiles, device.memories, share)

    def greedy(self, profiles: Sequence[Array], spots: int, share: int) -> tuple[int, ...]:
        """Return the choice that, group by group from the largest on, raises the maximum least.

        Profiles are times x places from a group's start; a place is `share` processors.
        """
        total = np.zeros((len(profiles[0]), spots), np.int64)
        choice = [0] * len(self.groups)
        order = sorted(range(len(self.groups)), key=lambda i: (-int(profiles[i].sum()), i))
        for i in order:
            width = profiles[i].shape[1]

            def fullest(at: int, i: int = i, width: int = width) -> tuple[int, int]:
                first = at // share
                return int((total[:, first : first + width] + profiles[i]).max()), at

            choice[i] = min(self.groups[i].choices, key=fullest)
            first = choice[i] // share
            total[:, first : first + width] += profiles[i]
        return tuple(choice)
