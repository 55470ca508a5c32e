"""Networks of every form that is supported, from integers to registers, each step proven.

`networks/*.ir` say what is computed; weights and biases are random. Comments in front of a graph
name a device that refuses it, and the rules: `// max78000: AX121`. By default every second network
is compiled for either device; `--golden-all` compiles all for both.
"""

import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai8xc.dialects import q
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.core import Data, Graph, Op, make_graph
from ai8xc.ir.diag import Rejected, errors
from ai8xc.ir.types import INTEGER_RANGE

NETWORKS = sorted((Path(__file__).parent / "networks").glob("*.ir"))
DEVICES = ["max78000", "max78002"]
REFUSED = re.compile(r"^// (max\w+): (.*)$", re.MULTILINE)


def with_random_weights(graph: Graph) -> Graph:
    """The graph with other constants, the same in each run."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        made = op.with_operands(new)
        if isinstance(made, q.Constant):
            rng = np.random.default_rng(zlib.crc32(made.name.encode()))
            low, high = INTEGER_RANGE[made.element]
            values = rng.integers(low, high + 1, made.value.array.shape).astype(np.int8)
            if made.element == "bin":
                values = np.where(values < 0, -1, 1).astype(np.int8)
            made = replace(made, value=Data(values))
        new[op] = made
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    pairs = [(path, device) for path in NETWORKS for device in DEVICES]
    if not metafunc.config.getoption("--golden-all"):
        pairs = [(path, DEVICES[number % 2]) for number, path in enumerate(NETWORKS)]
    ids = [f"{path.stem}-{device}" for path, device in pairs]
    metafunc.parametrize(("path", "device"), pairs, ids=ids)


def test_proven_to_registers(path: Path, device: str) -> None:
    graph = with_random_weights(load(path))
    refused = dict(REFUSED.findall(path.read_text())).get(device, "").split()
    said: list[str] = []
    options = Options(device, emit=frozenset({"registers"}), prove=said.append)
    if refused:
        with pytest.raises(Rejected) as caught:
            compile_graph(graph, options)
        found = errors(caught.value.diagnostics)
        assert {finding.rule.id for finding in found} == set(refused)
        assert all(finding.help for finding in found)
        return
    compile_graph(graph, options)
    assert "proven: lower-to-reg" in said[-1]
