"""Random networks with large inputs: they stream by themselves and compute the same numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ai8xc.backends.base import backends
from ai8xc.backends.firmware.outputs import read_outputs
from ai8xc.backends.firmware.project import Project
from ai8xc.backends.firmware.registers import RegisterEngine
from ai8xc.device import load_device
from ai8xc.dialects import ai8x, q
from ai8xc.dialects.reg import Program
from ai8xc.dialects.settings import Settings
from ai8xc.driver import passes_of
from ai8xc.ir import interp
from ai8xc.ir.core import Graph, make_graph
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.ir.prove import real_sample
from ai8xc.passes.hardware.sample import Sample
from ai8xc.plugins import load_backends, load_passes

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import Maker, conv

load_passes()
load_backends()


@st.composite
def large_graphs(draw: st.DrawFn) -> Graph:
    """3x3 and 1x1 convolutions and pools from an image down to a few pixels."""
    channels = draw(st.sampled_from([1, 3, 3, 4, 6, 12, 16]))
    rows, columns = draw(st.tuples(st.integers(90, 230), st.integers(90, 230)))
    m = Maker(draw, (1, channels, rows, columns))
    while min(m.shape[2:]) > 6:
        outputs = m.of([4, 8, 12, 16, 20]) if min(m.shape[2:]) > 60 else 0
        conv(m, outputs, kernel=m.of([1, 3, 3, 3]))
        large = min(m.shape[2:]) > 60
        if large or m.flag():
            window = m.of([2, 2, 3])
            if m.flag():
                m.then(q.MaxPool, m.value, (window, window), (2, 2))
            else:
                m.then(q.AveragePool, m.value, (window, window), (2, 2))
    return make_graph("net", "q", m.ops, [m.value])


def lowered(graph: Graph, name: str, values: np.ndarray) -> tuple[Graph, Graph]:
    """The placed layers and the register program."""
    found: list[Graph] = []
    ctx = PassContext(load_device(name), Sample((real_sample(values),)))
    pipeline = passes_of(backends()[name].pipeline)

    class Keep:
        def after(self, step: object, before: Graph, graph: Graph, ctx: PassContext) -> None:
            found.append(graph)

    program = run_pipeline(graph, pipeline, ctx, [Keep()])
    return found[-2], program


@pytest.mark.parametrize("name", ["max78000", "max78002"])
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(large_graphs(), st.integers(0, 2**16))
def test_the_emulator_computes_what_the_integers_say(name: str, graph: Graph, seed: int) -> None:
    note(print_graph(graph))
    (x,) = graph.inputs
    values = np.random.default_rng(seed).integers(-128, 128, x.type.shape).astype(np.int8)
    layers, registers = lowered(graph, name, values)
    project = Project.of(Program.of(registers))
    engine = RegisterEngine(project)
    engine.run(project.sample)
    assert engine.emulator.findings == []
    expected = interp.run(graph, {x.name: values})
    found = [output[None] for output in read_outputs(project, engine.words)]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)
    streams = [layer.mode.streaming for layer in ai8x.layers(layers.ops)]
    assert Settings.of(layers).fifo == any(streams)
    assert streams == sorted(streams, reverse=True)
