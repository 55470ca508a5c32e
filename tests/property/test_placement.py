"""Random networks: the hardware layers mean the same, and the checker follows every byte."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ai8xc import checker
from ai8xc.device import Device, load_device
from ai8xc.ir import interp
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.interface import from_hardware, to_hardware
from ai8xc.ir.passes import PassContext, PassSpec, build, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.ir.verify import verify
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_passes

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import q_graphs

FULL = {"AX108", "NET-LAYERS", "AX117", "AX120", "AX121"}
"""Rules that a random network may break: a mean over more than 16x16 values has no exact
form, it needs too many layers or too much memory, or joins tensors that no layout holds."""

load_passes()


def placed(graph: Graph, device: Device) -> Graph | None:
    """The hardware layers of a graph; None where the device is too small for it."""
    passes = build([PassSpec(name) for name in PIPELINES["layers"].split(",")])
    try:
        return run_pipeline(graph, passes, PassContext(device))
    except Rejected as rejected:
        if {finding.rule.id for finding in rejected.diagnostics} <= FULL:
            return None
        raise


def same(before: Graph, after: Graph, seed: int) -> None:
    """Both graphs give the same values for the same random inputs."""
    rng = np.random.default_rng(seed)
    fed = {x.name: rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in before.inputs}
    expected = interp.run(before, fed)
    found = from_hardware(after, interp.run(after, to_hardware(after, fed)))
    assert len(expected) == len(found)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["max78000", "max78002"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(q_graphs(), st.integers(0, 2**16))
def test_layers_mean_the_same_and_lie_right(name: str, graph: Graph, seed: int) -> None:
    device = load_device(name)
    note(print_graph(graph))
    after = placed(graph, device)
    if after is None:
        return
    note(print_graph(after))
    assert not verify(after)
    assert not checker.check(after, device)
    same(graph, after, seed)
