"""Every pass of the float level keeps the meaning, the locations and the rules of the level."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ai8xc.grammar.reader import read_pipeline
from ai8xc.ir import interp
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import PassContext, build, passes, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.ir.verify import verify
from ai8xc.passes import (  # noqa: F401 - registers them
    eliminate_transposes,
    fold_batch_norm,
    fold_constants,
    fold_scales,
    fuse_activation,
    remove_dead_ops,
    remove_identities,
)

sys.path.insert(0, str(Path(__file__).parent))

from graphs import float_graphs

NAMES = [
    "fold-constants",
    "remove-dead-ops",
    "remove-identities",
    "fold-batch-norm",
    "fuse-activation",
    "eliminate-transposes",
    "fold-scales",
]


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


def check(graph: Graph, pipeline: str) -> None:
    steps = build(read_pipeline(pipeline))
    after = run_pipeline(graph, steps, PassContext())
    assert not verify(after)
    for batch in (1, 2):
        inputs = samples(graph, batch)
        for want, have in zip(interp.run(graph, inputs), interp.run(after, inputs), strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-8, atol=1e-8 * (1 + np.abs(want).max()))
    assert not nodes(working(graph)) - nodes(needed(after))
    again = run_pipeline(after, steps, PassContext())
    assert print_graph(again) == print_graph(after)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=float_graphs())
def test_a_pass_keeps_the_meaning(name: str, graph: Graph) -> None:
    assert name in passes()
    check(graph, name)
