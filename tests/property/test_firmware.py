"""Random networks: integer graph, register program and compiled firmware give the same numbers.

`benchmarks/firmware.py --random N` runs many of them.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from ai8xc.backends.firmware import run
from ai8xc.backends.firmware.project import Project
from ai8xc.driver import Options, Result, compile_graph
from ai8xc.ir import interp
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.printer import print_graph

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import q_graphs
from test_placement import FULL

INEXACT = "AX118"
"""The note on a mean that is taken in steps: its result may be another one."""

Examples = Callable[[Callable[..., None]], Callable[..., None]]


def examples(count: int) -> Examples:
    """So many random graphs; firmware takes long, so that only few attempts go into shrinking."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    checks = list(HealthCheck)
    return settings(max_examples=count, deadline=None, phases=phases, suppress_health_check=checks)


def compiled(device: str, graph: Graph, sample: np.ndarray) -> Result | None:
    """The project of a graph; None where the device is too small for it."""
    try:
        return compile_graph(graph, Options(device, sample=sample, emit=frozenset({"c"})))
    except Rejected as rejected:
        if {finding.rule.id for finding in rejected.diagnostics} <= FULL:
            return None
        raise


def prove(device: str, graph: Graph, seed: int, engine: run.Engine) -> bool:
    """The run passes and gives what the graph means; False where there is nothing to run."""
    rng = np.random.default_rng(seed)
    shape = graph.inputs[0].type.shape
    sample = rng.integers(-128, 128, shape[1:]).astype(np.int8)
    result = compiled(device, graph, sample)
    if result is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        result.write(folder, force=True)
        project = Project.read(Path(folder))
        report = run.run_project(Path(folder), engine)
    assert report.passed, (report.difference, report.failure, report.findings)
    assert report.engine == engine
    assert report.findings == []
    assert run.first_wrong_layer(project, report.layers) == ""
    if any(finding.rule.id == INEXACT for finding in result.diagnostics):
        return True
    expected = interp.run(graph, {graph.inputs[0].name: sample[None]})
    for found, wanted in zip(report.outputs, expected, strict=True):
        assert found.shape == wanted.shape[1:]
        np.testing.assert_array_equal(found, wanted[0])
    return True


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@examples(30)
@given(q_graphs(), st.integers(0, 2**16))
def test_registers(device: str, graph: Graph, seed: int) -> None:
    note(print_graph(graph))
    prove(device, graph, seed, "registers")


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@examples(15)
@given(q_graphs(), st.integers(0, 2**16))
def test_other_inputs(device: str, graph: Graph, seed: int) -> None:
    """Inputs that the program was not compiled with, one behind the other."""
    note(print_graph(graph))
    prove_many(device, graph, seed, "registers")


def prove_many(device: str, graph: Graph, seed: int, engine: run.Engine) -> None:
    """Each of three inputs gives what the graph means, whatever ran before."""
    rng = np.random.default_rng(seed)
    source = graph.inputs[0]
    samples = rng.integers(-128, 128, (3, *source.type.shape[1:])).astype(np.int8)
    result = compiled(device, graph, samples[0])
    if result is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        result.write(folder, force=True)
        report = run.run_many(Path(folder), engine, samples)
    assert report.passed, (report.failure, report.findings)
    if any(finding.rule.id == INEXACT for finding in result.diagnostics):
        return
    expected = [interp.run(graph, {source.name: sample[None]}) for sample in samples]
    for found, wanted in zip(report.outputs, zip(*expected, strict=True), strict=True):
        np.testing.assert_array_equal(found, np.concatenate(wanted))


@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="gcc-arm-none-eabi is not installed"
)
@pytest.mark.parametrize("device", ["max78000", "max78002"])
@examples(4)
@given(q_graphs(), st.integers(0, 2**16))
def test_firmware(device: str, graph: Graph, seed: int) -> None:
    note(print_graph(graph))
    prove(device, graph, seed, "firmware")
    prove_many(device, graph, seed, "firmware")
