"""Tensors whose first processors are tied: they move together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai8xc.ir.core import Op
from ai8xc.passes.placement.problem import Problem


@dataclass(frozen=True, eq=False)
class Group:
    """Distances of tensors from the group's start in processors, its width, and where it may be."""

    distances: Mapping[Op, int]
    width: int
    choices: range


def groups_of(problem: Problem) -> list[Group]:
    """Return the groups, in the order in which their tensors are written."""
    found: dict[Op, dict[Op, int]] = {}
    for op in problem.tensors:
        root, distance = problem.starts.find(op)
        found.setdefault(root, {})[op] = distance
    device = problem.device
    made = []
    for distances in found.values():
        low = min(distances.values())
        placed = {op: distance - low for op, distance in distances.items()}
        width = max(d + problem.tensors[op].width for op, d in placed.items())
        fixed = any(problem.tensors[op].fixed for op in placed)
        last = 0 if fixed else device.processors - width
        made.append(Group(placed, width, range(0, last + 1, device.processors_per_memory)))
    return made


def starts_of(groups: Sequence[Group], choice: Sequence[int]) -> dict[Op, int]:
    """Return the first processor of each tensor, for the start of each group."""
    return {
        op: at + distance
        for group, at in zip(groups, choice, strict=True)
        for op, distance in group.distances.items()
    }
