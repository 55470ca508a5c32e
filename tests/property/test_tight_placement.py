"""What fits is placed, and what is refused does not fit: memories shrunk to the last byte."""

import itertools
import sys
from pathlib import Path

from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st

from ai8xc import checker
from ai8xc.device import Device, load_device
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, PassSpec, build, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.passes.place import PlaceLayers
from ai8xc.passes.placement.bounds import Loads, bytes_bound, columns_bound
from ai8xc.passes.placement.messages import explain
from ai8xc.passes.placement.problem import Conflict, Problem, state
from ai8xc.passes.placement.search import THOROUGH, Search
from ai8xc.plugins import load_passes

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import q_graphs

load_passes()
NAMES = PIPELINES["layers"].split(",")
UNPLACED = build([PassSpec(name) for name in NAMES[: NAMES.index(PlaceLayers.name)]])
QUICKLY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def shrunk(device: Device, data: int, columns: int) -> Device:
    """A device with smaller memories."""
    return device.model_copy(
        update={
            "data_memory_bytes": data,
            "kernel_columns": columns,
            "kernel_columns_large": columns,
            "kernel_instance_columns": columns,
            "kernel_instance_columns_large": columns,
        }
    )


def problem_of(graph: Graph, device: Device) -> Problem:
    """The placement problem of an integer graph; random ones that have none are passed over."""
    try:
        layers = run_pipeline(graph, UNPLACED, PassContext(device))
    except Rejected:
        assume(False)
    problem = state(layers, device)
    assert not isinstance(problem, Conflict)
    note(print_graph(layers))
    return problem


def with_device(problem: Problem, data: int, columns: int) -> Problem:
    """The same problem on a smaller device."""
    device = shrunk(problem.device, data, columns)
    return Problem(
        device, problem.layers, problem.tensors, problem.starts, problem.offsets, problem.steps
    )


@QUICKLY
@given(q_graphs())
def test_no_placement_is_below_the_bounds(graph: Graph) -> None:
    """The bounds hold for each choice of processors that the search looks at, and for the best."""
    problem = problem_of(graph, load_device("max78000"))
    search = Search(problem)
    found = search.run()
    data, columns = bytes_bound(problem)[0], columns_bound(problem)
    assert data <= found.offsets.peak
    assert columns <= found.columns.highest
    for choice in (search.balanced(), search.spread()):
        solution = search.solution(choice, THOROUGH)
        assert solution is not None
        loads = Loads(problem, search.groups)
        assert data <= loads.bytes(choice) <= solution.offsets.peak
        assert loads.columns(choice) <= solution.columns.highest


@QUICKLY
@given(q_graphs())
def test_below_the_bound_is_refused_with_the_proof(graph: Graph) -> None:
    problem = problem_of(graph, load_device("max78000"))
    data, columns = bytes_bound(problem)[0], columns_bound(problem)
    few = with_device(problem, data - 4, columns + 8)
    findings = list(explain(few, Search(few).run()))
    assert any("no placement exists" in text for found in findings for text in found.notes)
    assert all(found.help for found in findings)


@QUICKLY
@given(q_graphs(longest=3))
def test_what_fits_is_placed(graph: Graph) -> None:
    """On a device as small as the best of many choices of processors needs, one is found."""
    problem = problem_of(graph, load_device("max78000"))
    search = Search(problem)
    choices = [group.choices[:: max(1, len(group.choices) // 4)] for group in search.groups]
    assume(len(search.groups) <= 4)
    every = [search.solution(choice, THOROUGH) for choice in itertools.product(*choices)]
    solutions = [solution for solution in every if solution is not None and not solution.excess]
    least_data = min(solutions, key=lambda s: (s.offsets.peak, s.columns.highest))
    least_columns = min(solutions, key=lambda s: (s.columns.highest, s.offsets.peak))
    for best in (least_data, least_columns):
        tight = with_device(problem, best.offsets.peak, best.columns.highest)
        assert Search(tight).run().excess == 0


@QUICKLY
@given(q_graphs(longest=3), st.integers(70, 99))
def test_layers_overwrite_their_input_in_time(graph: Graph, percent: int) -> None:
    """Where data have no room besides each other, the checker agrees that reads come first."""
    device = load_device("max78000")
    problem = problem_of(graph, device)
    peak = Search(problem).run().offsets.peak
    small = shrunk(device, peak * percent // 400 * 4, device.kernel_columns)
    layers = run_pipeline(graph, UNPLACED, PassContext(small))
    try:
        placed = run_pipeline(layers, [PlaceLayers()], PassContext(small))
    except Rejected:
        event("refused")
        return
    event("placed")
    assert checker.check(placed, small) == []
