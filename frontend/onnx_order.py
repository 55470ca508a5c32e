"""The order in which the nodes of a model are computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

Producers = Mapping[str, int]
"""The index of the node that defines each value."""


def live_nodes(
    nodes: Sequence[NodeProto], producers: Producers, outputs: Iterable[str]
) -> frozenset[int]:
    """Return the nodes that the outputs depend on."""
    pending = [producers[name] for name in outputs if name in producers]
    live = set(pending)
    while pending:
        for name in nodes[pending.pop()].input:
            index = producers.get(name)
            if index is not None and index not in live:
                live.add(index)
                pending.append(index)
    return frozenset(live)


def computing_order(
    nodes: Sequence[NodeProto], producers: Producers, live: frozenset[int]
) -> tuple[list[int], list[int]]:
    """Return the live nodes, each behind those it reads, and the nodes of a cycle if there is one.

    Nodes that are in order already stay as they are.
    """
    order: list[int] = []
    done: set[int] = set()
    for root in sorted(live):
        path: dict[int, list[str]] = {} if root in done else {root: list(nodes[root].input)}
        while path:
            index, pending = next(reversed(path.items()))
            if not pending:
                done.add(index)
                order.append(index)
                path.popitem()
                continue
            needed = producers.get(pending.pop())
            if needed is None or needed in done:
                continue
            if needed in path:
                stack = list(path)
                return order, stack[stack.index(needed) :]
            path[needed] = list(nodes[needed].input)
    return order, []
