"""What a run of the compiler went through: the graphs of each level, as far as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ai8xc.device import Device
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, errors
from ai8xc.ir.passes import PassContext, Step
from ai8xc.ir.types import Array


@dataclass
class Recording:
    """Hook that keeps the last graph of each level, and those around the quantiser.

    `real` is the last float graph, `whole` the integer graph that was made of it.
    """

    given: Graph
    last: Graph = field(init=False)
    real: Graph | None = None
    whole: Graph | None = None
    layers: Graph | None = None

    def __post_init__(self) -> None:
        self.last = self.given

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Keep what the step gave."""
        if before.level == "nn" and graph.level == "q":
            self.real, self.whole = before, graph
        if graph.level == "ai8x":
            self.layers = graph
        if graph.level != "reg":
            self.last = graph


@dataclass(frozen=True)
class Run:
    """A recorded run: the model's name, the device, the findings.

    `samples` are real inputs with a batch axis, on which the noise of the integers is measured.
    """

    model: str
    device: Device
    recording: Recording
    diagnostics: Sequence[Diagnostic]
    samples: Sequence[Array]

    @property
    def fits(self) -> bool:
        """Whether the run came to the end."""
        return not errors(self.diagnostics)
