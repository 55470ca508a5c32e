"""Locations: where in the user's model an op comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loc:
    """The nodes of the user's model, or the place in a text file, that an op stands for.

    `source` is the file as the user named it (base name only, so output never depends on a
    folder), `nodes` the ONNX nodes, torch module paths or YAML layers; a fused op lists all of
    them. `line` and `column` are one-based; 0 means unknown.
    """

    source: str = ""
    nodes: tuple[str, ...] = ()
    line: int = 0
    column: int = 0

    def fuse(self, *others: Loc) -> Loc:
        """Return the place of an op that replaces the ops at `self` and `others`."""
        nodes = list(self.nodes)
        for other in others:
            nodes.extend(node for node in other.nodes if node not in nodes)
        sources = [loc.source for loc in (self, *others) if loc.source]
        return Loc(sources[0] if sources else "", tuple(nodes), self.line, self.column)

    def __str__(self) -> str:
        """Return the place as a diagnostic names it."""
        place = self.source
        if self.line:
            place += f":{self.line}:{self.column}" if self.column else f":{self.line}"
        if self.nodes:
            names = ", ".join(f"`{node}`" for node in self.nodes)
            noun = "node" if len(self.nodes) == 1 else "nodes"
            place += f"{': ' if place else ''}{noun} {names}"
        return place


UNKNOWN = Loc()
