"""What any placement needs: bytes in the fullest memory, columns on the fullest processor.

`Loads` bounds one choice of processors, which takes microseconds: the search skips choices that
cannot be better. `bytes_bound` and `columns_bound` hold for all choices: above the capacity of the
device they prove that a network does not fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array
from ai8xc.passes.layers.limits import passes_of
from ai8xc.passes.placement.columns import aligned
from ai8xc.passes.placement.groups import Group, groups_of
from ai8xc.passes.placement.problem import Problem


@dataclass(frozen=True, eq=False)
class Loads:
    """Columns and bytes that each group needs, relative to its start."""

    problem: Problem
    groups: Sequence[Group]

    def columns(self, choice: Sequence[int]) -> int:
        """Return columns that the fullest processor needs when groups start there."""
        total = np.zeros(self.problem.device.processors, np.int64)
        for at, profile in zip(choice, self.column_profiles, strict=True):
            total[at : at + len(profile)] += profile
        return int(total.max()) - self.slack

    def bytes(self, choice: Sequence[int]) -> int:
        """Return bytes that the fullest memory needs at some time."""
        device = self.problem.device
        total = np.zeros((len(self.problem.layers) + 2, device.memories), np.int64)
        for at, profile in zip(choice, self.byte_profiles, strict=True):
            first = at // device.processors_per_memory
            total[:, first : first + profile.shape[1]] += profile
        return int(total.max())

    def slots(self, choice: Sequence[int]) -> int:
        """Return the cycles that layers without operator take for moving data."""
        return sum(found[at] for at, found in zip(choice, self.slot_cycles, strict=True))

    @property
    def fewest_slots(self) -> int:
        """The least of these cycles for any choice."""
        return sum(min(found.values()) for found in self.slot_cycles)

    @cached_property
    def slot_cycles(self) -> list[Mapping[int, int]]:
        """These cycles of each group, by its start.

        A layer moves four channels of each group of processors at a time (semantics 4.2).
        """
        found: list[Mapping[int, int]] = []
        copies = [x for x in self.problem.layers if isinstance(x, ai8x.Passthrough)]
        for group in self.groups:
            own = [layer for layer in copies if layer.xs[0] in group.distances]
            masks = {x: self.problem.source_mask(x, group.distances) for x in own}
            found.append(
                {at: sum(self._moves(x, masks[x] << at) for x in own) for at in group.choices}
            )
        return found

    def _moves(self, layer: ai8x.Layer, mask: int) -> int:
        device = self.problem.device
        span = device.processors_per_group
        turns = max(
            (mask >> span * group & (1 << span) - 1).bit_count() for group in range(device.groups)
        )
        _, rows, columns = layer.pooled_shape
        passes = passes_of(layer.in_shape[0], device)
        return rows * columns * passes * -(-turns // device.processors_per_memory)

    @cached_property
    def counted(self) -> list[tuple[ai8x.Layer, int]]:
        """Layers and their aligned columns; those that may share kernels count once."""
        seen: set[object] = set()
        found = []
        for layer in self.problem.layers:
            needed = self.problem.columns(layer)
            key = self.problem.kernel_key(layer)
            if needed and key not in seen:
                found.append((layer, aligned(needed, self.problem.device)))
            seen.add(key)
        return found

    @cached_property
    def slack(self) -> int:
        """Columns by which the highest layer may end before the next aligned column."""
        wastes = (columns - self.problem.columns(layer) for layer, columns in self.counted)
        return max(wastes, default=0)

    @cached_property
    def column_profiles(self) -> list[Array]:
        """Columns on each processor of each group."""
        found = [np.zeros(group.width, np.int64) for group in self.groups]
        for layer, needed in self.counted:
            for group, profile in zip(self.groups, found, strict=True):
                if layer.xs[0] in group.distances:
                    mask = self.problem.source_mask(layer, group.distances)
                    profile[[p for p in range(group.width) if mask >> p & 1]] += needed
        return found

    @cached_property
    def overwritten(self) -> set[Op]:
        """Tensors that their last reader may write over: they need no bytes besides its output."""
        return {
            x
            for layer in self.problem.layers
            for x in layer.xs
            if self.problem.distance(x, layer) is not None
        }

    @cached_property
    def byte_profiles(self) -> list[Array]:
        """Bytes that are live in each memory of each group, at each time."""
        share = self.problem.device.processors_per_memory
        found = []
        for group in self.groups:
            profile = np.zeros((len(self.problem.layers) + 2, -(-group.width // share)), np.int64)
            for op, distance in group.distances.items():
                tensor = self.problem.tensors[op]
                touched = tensor.memories(distance, share)
                memories = [m for m in range(profile.shape[1]) if touched >> m & 1]
                last = tensor.last - (op in self.overwritten)
                profile[tensor.first + 1 : last + 2, memories] += tensor.extent(1)
            found.append(profile)
        return found


def bytes_bound(problem: Problem) -> tuple[int, int]:
    """Return bytes that some memory needs however tensors are placed, and the layer where."""
    loads = Loads(problem, groups_of(problem))
    needed = _anywhere(loads.byte_profiles, problem.device.memories)
    for tensor in problem.tensors.values():
        single = tensor.extent(problem.step(tensor.op)) + tensor.lead
        needed[tensor.first + 1] = max(needed[tensor.first + 1], single)
    return int(needed.max()), int(needed.argmax()) - 1


def columns_bound(problem: Problem) -> int:
    """Return columns that some processor needs however layers are placed."""
    loads = Loads(problem, groups_of(problem))
    share = problem.device.processors_per_memory  # groups begin at the first of a memory
    profiles = [profile[None, ::share] for profile in loads.column_profiles]
    fullest = max((int(profile.max()) for profile in loads.column_profiles), default=0)
    return max(fullest, int(_anywhere(profiles, problem.device.memories)[0])) - loads.slack


def _anywhere(profiles: Sequence[Array], places: int) -> Array:
    """Return what the fullest place needs in any case, at each time.

    Profiles are times x places from a group's start. All of a group lies somewhere. The fullest of
    some places holds at least their mean, to which each group adds what it has there wherever it
    starts. And groups that are wide enough to meet in pairs meet in one place, like any intervals.
    """
    needed = np.zeros(len(profiles[0]), np.int64)
    choices = _spaced(places)
    total = np.zeros((len(needed), choices.shape[1]), np.int64)
    for one in profiles:
        starts = range(places - one.shape[1] + 1)
        total += np.min([one @ choices[at : at + one.shape[1]] for at in starts], axis=0)
        wide = [other for other in profiles if other is not one and _meet(one, other, places)]
        least = one.max(axis=1) if all(p.shape[1] == places for p in wide) else one.min(axis=1)
        needed = np.maximum(needed, sum((p.min(axis=1) for p in wide), least))
        needed = np.maximum(needed, one.max(axis=1))
    means = -(-total // choices.sum(axis=0))
    return np.asarray(np.maximum(needed, means.max(axis=1)))


def _spaced(places: int) -> Array:
    """Return sets of places at equal distances around the middle, as columns of 0 and 1."""
    found = []
    for count in range(1, places + 1):
        for step in range(1, places if count > 1 else 2):
            length = (count - 1) * step + 1
            if length > places:
                break
            first = (places - length) // 2
            column = np.zeros(places, np.int64)
            column[first : first + length : step] = 1
            found.append(column)
    return np.stack(found, axis=1)


def _meet(one: Array, other: Array, places: int) -> bool:
    """Whether two groups meet wherever they start, and `other` all that do so as well."""
    return bool(2 * other.shape[1] > places and one.shape[1] + other.shape[1] > places)
