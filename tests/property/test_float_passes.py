"""Every pass of the float level keeps the meaning, the locations and the rules of the level."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ai8xc.grammar.reader import read_pipeline
from ai8xc.ir import interp
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import PassContext, build, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.ir.verify import verify
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_passes

sys.path.insert(0, str(Path(__file__).parent))

from graphs import float_graphs

load_passes()

NAMES = sorted(set(PIPELINES["float"].split(",")))


def samples(graph: Graph, batch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {op.name: rng.normal(size=(batch, *op.type.shape[1:])) for op in graph.inputs}


def working(graph: Graph) -> set[Op]:
    """The ops that outputs depend on, without those that only move values or let them through."""
    known: dict[Op, np.ndarray] = {}
    for op, value in interp.values(graph, samples(graph, 2)):
        known[op] = np.sort(value, axis=None)
    alive = needed(graph)
    return {op for op in alive if not any(same(known[op], known[x]) for x in op.operands)}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool((a == b).all())


def needed(graph: Graph) -> set[Op]:
    alive = set(graph.outputs)
    for op in reversed(graph.ops):
        if op in alive:
            alive.update(op.operands)
    return alive


def nodes(ops: set[Op]) -> set[str]:
    return {node for op in ops for node in op.loc.nodes}


def after(graph: Graph, pipeline: str) -> Graph:
    return run_pipeline(graph, build(read_pipeline(pipeline)), PassContext())


def compare(before: Graph, graph: Graph) -> None:
    """The same values for one sample and for several, in a valid graph that names every node."""
    assert not verify(graph)
    for batch in (1, 2):
        inputs = samples(before, batch)
        for want, have in zip(interp.run(before, inputs), interp.run(graph, inputs), strict=True):
            limit = 1e-8 * (1 + np.abs(want).max())
            np.testing.assert_allclose(have, want, rtol=1e-8, atol=limit)
    assert not nodes(working(before)) - nodes(needed(graph))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=float_graphs())
def test_a_pass_keeps_the_meaning_and_finds_nothing_more_to_do(name: str, graph: Graph) -> None:
    once = after(graph, name)
    compare(graph, once)
    assert print_graph(after(once, name)) == print_graph(once)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=float_graphs())
def test_the_float_pipeline_keeps_the_meaning(graph: Graph) -> None:
    compare(graph, after(graph, PIPELINES["float"]))
