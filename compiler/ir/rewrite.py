"""The rewrite driver: small local laws, applied to a fixed point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ai8xc.ir.core import Graph, Input, Op, make_graph

Rule = Callable[[Op, Mapping[Op, int]], Op | None]
"""A law: the replacement of an op, or None where it does not apply. The mapping counts readers."""

_ROUNDS: Final = 100


def rewrite(graph: Graph, laws: Sequence[Rule]) -> Graph:
    """Apply the laws until none fires; ops that lost their last reader by it are removed.

    Each round visits the ops in order, so a law that moves something towards the outputs gets
    through a graph of any length in one round. Raises `RuntimeError` if the laws keep firing.
    """
    for _ in range(_ROUNDS):
        after = _Round(graph, laws).run()
        if after is graph:
            return graph
        graph = after
    names = ", ".join(law.__name__ for law in laws)
    raise RuntimeError(f"the rewrite does not come to an end: {names}")


class _Round:
    """One sweep over a graph; keeps the count of readers true while ops are replaced."""

    def __init__(self, graph: Graph, laws: Sequence[Rule]) -> None:
        self.graph = graph
        self.laws = laws
        self.uses: dict[Op, int] = dict(graph.uses)
        self.new: dict[Op, Op] = {}
        self.fired = False

    def run(self) -> Graph:
        kept = [self.visit(op) for op in self.graph.ops]
        if not self.fired:
            return self.graph
        unread = {op for op, count in self.graph.uses.items() if count == 0}
        dead_before = {self.new.get(op, op) for op in unread}
        outputs = [self.new.get(op, op) for op in self.graph.outputs]
        alive = [op for op in kept if self.uses[op] or op in dead_before or isinstance(op, Input)]
        return make_graph(self.graph.name, self.graph.level, alive, outputs, self.graph.attributes)

    def visit(self, op: Op) -> Op:
        current = op.with_operands(self.new) if self.new else op
        if current is not op:
            self.uses[current] = self.uses.pop(op)
        for _ in range(_ROUNDS):
            replacement = self.first_match(current)
            if replacement is None:
                break
            self.replace(current, replacement)
            current = replacement
        else:
            raise RuntimeError(f"the laws keep rewriting `{op!r}`")
        if current is not op:
            self.new[op] = current
        return current

    def first_match(self, op: Op) -> Op | None:
        if isinstance(op, Input):
            return None
        for law in self.laws:
            replacement = law(op, self.uses)
            if replacement is not None and replacement is not op:
                return replacement
        return None

    def replace(self, old: Op, new: Op) -> None:
        self.fired = True
        readers = self.uses.pop(old)
        self.adopt(new)
        self.uses[new] += readers
        for operand in old.operands:
            self.release(operand)

    def adopt(self, op: Op) -> None:
        """Count the reads of an op that a law has made, and of all it made below it."""
        fresh: list[Op] = []
        pending = [op]
        while pending:
            made = pending.pop()
            if made not in self.uses:
                self.uses[made] = 0
                fresh.append(made)
                pending.extend(made.operands)
        for made in fresh:
            for operand in made.operands:
                self.uses[operand] += 1

    def release(self, op: Op) -> None:
        """Take back one read; an op without readers no longer reads anything either."""
        pending = [op]
        while pending:
            lost = pending.pop()
            self.uses[lost] -= 1
            if self.uses[lost] == 0:
                pending.extend(lost.operands)
