"""What a run of the compiler went through: the graphs of each level, as far as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ai8xc.device import Device, load_device
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, Rejected, errors
from ai8xc.ir.passes import PassContext, Step
from ai8xc.ir.prove import random_samples, real_sample
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
    """A recorded run: the model's name, the device, the findings, inputs for the noise."""

    model: str
    device: Device
    recording: Recording
    diagnostics: Sequence[Diagnostic]
    samples: Sequence[Array]

    @property
    def fits(self) -> bool:
        """Whether the run came to the end."""
        return not errors(self.diagnostics)


def examine(model: Path, options: Options) -> Run:
    """Compile a model as far as it goes; raises `Rejected` only where it cannot be read."""
    graph = load(model)
    recording = Recording(graph)
    watched = replace(options, hooks=(*options.hooks, recording))
    try:
        found = compile_graph(graph, watched).diagnostics
    except Rejected as rejected:
        if rejected.unusable:
            raise
        found = rejected.diagnostics
    return run_of(model.name, options, recording, found)


def run_of(model: str, options: Options, recording: Recording, found: Sequence[Diagnostic]) -> Run:
    """Return a run that is over; without a sample, noise is that of random inputs."""
    samples = random_samples(recording.given)
    if options.sample is not None:
        samples = [real_sample(options.sample)[None]]
    return Run(model, load_device(options.device or "max78000"), recording, found, samples)
