"""What checking a model for a device found out: findings, layers, and how far limits are.

The reports (text, JSON, HTML) show these values; fields are only ever added.
"""

from __future__ import annotations

from dataclasses import dataclass

from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, errors


@dataclass(frozen=True)
class LayerRow:
    """One hardware layer: what it is, what it came from, what it takes.

    Shapes are channels, rows, columns. `columns` are kernel columns on each of its processors,
    `kernel_bytes` and `bias_bytes` what it takes of those memories, `data_bytes` what its output
    takes of each data memory that it touches. `cycles` is None where no cycle model is known.
    """

    name: str
    nodes: tuple[str, ...]
    becomes: str
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    weight_bits: int | None
    columns: int
    kernel_bytes: int
    bias_bytes: int
    data_bytes: int
    macs: int
    cycles: int | None


@dataclass(frozen=True)
class Margin:
    """How much of a resource is used; `where` says by which layer, where that is meaningful.

    Without placement `used` is the least that any placement needs (`bound`).
    """

    resource: str
    used: int
    limit: int | None
    unit: str
    where: str = ""
    bound: bool = False

    @property
    def free(self) -> int | None:
        """What is left; negative where it is too little."""
        return None if self.limit is None else self.limit - self.used

    @property
    def percent(self) -> float | None:
        """Share of the limit that is used."""
        return None if not self.limit else 100 * self.used / self.limit


@dataclass(frozen=True)
class Survey:
    """A model on a device.

    `graph` are its hardware layers, as far as there are some: placed where `placed` is true. With
    errors, `complete` tells whether all of the network is in them.
    """

    source: str
    device: str
    diagnostics: tuple[Diagnostic, ...]
    layers: tuple[LayerRow, ...] = ()
    margins: tuple[Margin, ...] = ()
    graph: Graph | None = None
    placed: bool = False
    complete: bool = True

    @property
    def fits(self) -> bool:
        """Whether the model can be compiled for the device."""
        return self.placed and not errors(self.diagnostics)

    @property
    def cycles(self) -> int | None:
        """Cycles of one inference, None where a layer's are not known."""
        found = [layer.cycles for layer in self.layers]
        if not found or not self.complete:
            return None
        known = [count for count in found if count is not None]
        return sum(known) if len(known) == len(found) else None

    @property
    def macs(self) -> int:
        """Multiplications of one inference."""
        return sum(layer.macs for layer in self.layers)
