"""A layered drawing of a directed graph: rows by distance from the inputs, few crossings.

Every step is deterministic: ties keep the order of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Edge = tuple[int, int]
_SWEEPS: Final = 8


@dataclass(frozen=True)
class Layout:
    """Centres of the nodes in units (column, row); bends of edges that pass rows between.

    The leftmost centre is 0. A node is `1` wide, the gap between nodes is part of that.
    """

    x: Mapping[int, float]
    row: Mapping[int, int]
    bends: Mapping[Edge, tuple[tuple[float, int], ...]]

    @property
    def columns(self) -> float:
        """Distance of the first from the last column, and one node."""
        widest = max((x for path in self.bends.values() for x, _ in path), default=0.0)
        return max(max(self.x.values(), default=0.0), widest) + 1

    @property
    def rows(self) -> int:
        """Number of rows."""
        return max(self.row.values(), default=0) + 1


def layered(count: int, edges: Sequence[Edge]) -> Layout:
    """Return the drawing of nodes 0 to count - 1, which stand in the order of computation."""
    row = _rows(count, edges)
    grid = _Grid(count, row, edges)
    for sweep in range(_SWEEPS):
        grid.sort(downwards=sweep % 2 == 0)
    x = grid.place()
    left = min(x.values(), default=0.0)
    paths = {
        edge: tuple((x[dummy] - left, grid.row[dummy]) for dummy in chain)
        for edge, chain in grid.chains.items()
    }
    own = {node: x[node] - left for node in range(count)}
    return Layout(own, {node: row[node] for node in range(count)}, paths)


def _rows(count: int, edges: Sequence[Edge]) -> dict[int, int]:
    """Return the longest distance of each node from those that read nothing."""
    row = dict.fromkeys(range(count), 0)
    for source, target in sorted(edges, key=lambda edge: (edge[1], edge[0])):
        row[target] = max(row[target], row[source] + 1)
    return row


class _Grid:
    """Nodes and the places where long edges pass a row, row by row in their order."""

    def __init__(self, count: int, row: Mapping[int, int], edges: Sequence[Edge]) -> None:
        self.row = dict(row)
        self.chains: dict[Edge, list[int]] = {}
        self.above: dict[int, list[int]] = {node: [] for node in range(count)}
        self.below: dict[int, list[int]] = {node: [] for node in range(count)}
        for edge in edges:
            self._connect(edge)
        depth = max(self.row.values(), default=0) + 1
        self.order: list[list[int]] = [[] for _ in range(depth)]
        for node in sorted(self.row, key=lambda n: (self.row[n], n)):
            self.order[self.row[node]].append(node)

    def _connect(self, edge: Edge) -> None:
        source, target = edge
        chain = []
        previous = source
        for row in range(self.row[source] + 1, self.row[target]):
            dummy = len(self.above)
            self.row[dummy] = row
            self.above[dummy], self.below[dummy] = [], []
            chain.append(dummy)
            self._link(previous, dummy)
            previous = dummy
        self._link(previous, target)
        self.chains[edge] = chain

    def _link(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    def sort(self, *, downwards: bool) -> None:
        """Put each row into the order of the mean position of its neighbours."""
        rows = range(1, len(self.order)) if downwards else range(len(self.order) - 2, -1, -1)
        neighbours = self.above if downwards else self.below
        for number in rows:
            other = self.order[number - 1 if downwards else number + 1]
            rank = {node: float(i) for i, node in enumerate(other)}
            own = {node: float(i) for i, node in enumerate(self.order[number])}
            key = {n: _mean((rank[m] for m in neighbours[n]), own[n]) for n in own}
            self.order[number].sort(key=lambda node: (key[node], own[node]))

    def place(self) -> dict[int, float]:
        """Return the columns: near the neighbours, a whole column apart."""
        x = {node: float(i) for nodes in self.order for i, node in enumerate(nodes)}
        widest = max(map(len, self.order), default=1)
        for nodes in self.order:
            shift = (widest - len(nodes)) / 2
            x.update({node: x[node] + shift for node in nodes})
        for sweep in range(_SWEEPS):
            downwards = sweep % 2 == 0
            neighbours = self.above if downwards else self.below
            for nodes in self.order if downwards else self.order[::-1]:
                wanted = [_mean((x[m] for m in neighbours[n]), x[n]) for n in nodes]
                x.update(zip(nodes, _apart(wanted), strict=True))
        return x


def _mean(values: Iterable[float], default: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else default


def _apart(wanted: Sequence[float]) -> list[float]:
    """Return positions in this order, at least 1 apart, as near to the wanted ones as simple."""
    right: list[float] = []
    for value in wanted:
        right.append(max(value, right[-1] + 1) if right else value)
    left: list[float] = []
    for value in reversed(wanted):
        left.append(min(value, left[-1] - 1) if left else value)
    return [(a + b) / 2 for a, b in zip(right, reversed(left), strict=True)]
