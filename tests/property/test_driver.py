"""Any network goes through the whole road or is rejected with findings, and each step is proven."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from ai8xc.driver import Options, compile_graph
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected, errors

sys.path.insert(0, str(Path(__file__).parent))

from graphs import float_graphs


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(float_graphs())
def test_compiled_and_proven_or_rejected(graph: Graph) -> None:
    said: list[str] = []
    try:
        result = compile_graph(graph, Options(emit=frozenset({"ir"}), prove=said.append))
    except Rejected as rejected:
        assert errors(rejected.diagnostics)  # noqa: PT017 - both ends are fine
    else:
        assert result.graph.level == "q"
        assert said[-1].startswith("proven: quantize (signal to noise: ")
