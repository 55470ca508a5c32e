"""The vendor's networks, placed by us: at least as good as by hand, and the checker agrees.

Layers come from the vectors with all defaults filled in; their places are taken away. The default
run is a sample; `--golden-all` runs all.
"""

import json
import re
from dataclasses import replace

import golden_corpus
import pytest
from golden_network import case_device, case_graph

from ai8xc import checker
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.passes.check_placement import CheckPlacement
from ai8xc.passes.estimate_cycles import estimate
from ai8xc.passes.insert_copies import InsertCopies
from ai8xc.passes.place import PlaceLayers
from ai8xc.passes.placement.kernels import kernel_columns

EVERY = 9  # of the sampled run

# name, what the checker rightly says about the vendor's placement
REJECTED = [
    (r".*__overlap.*", "overwrites its own input"),  # the tool's check was switched off
    (r"test-multilayer-eltwise", "operand 0, channel 0, pixel 1 reads"),  # listed defect
    (r".*__max-proc_4", "4 processors for 7 channels"),  # a chip with fewer processors
]


def sample() -> list[golden_corpus.Entry]:
    """Every ninth network, and those of the vendor's demonstrations."""
    shown = [entry for entry in golden_corpus.entries() if entry.name.startswith("net-")]
    return [*golden_corpus.every(EVERY), *shown]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    golden_corpus.give_entries(metafunc, sample)


class Network:
    """A vector whose layers all run from memory, one after the other."""

    def __init__(self, entry: golden_corpus.Entry) -> None:
        program = golden_corpus.Program(entry.path)
        self.case = json.loads((entry.path / "case.json").read_text())
        self.device = case_device(self.case)
        if any(layer["streaming"] for layer in self.case["layers"]):
            pytest.skip("streaming layers need less memory")
        if any(layer["next"] not in (-1, i + 1) for i, layer in enumerate(self.case["layers"])):
            pytest.skip("layers jump")
        if re.fullmatch(r".*__(ffquad-rv|calcx4)", entry.name):
            pytest.skip("kernels of four outputs lie in four places")
        self.graph = case_graph(self.case, program.arrays)

    @property
    def theirs(self) -> Graph:
        return run_pipeline(self.graph, [AllocateKernels()], PassContext(self.device))

    @property
    def ours(self) -> Graph:
        """The network placed by us; its layers have no modes that the placement did not choose."""
        new: dict[Op, Op] = {}
        for op in self.graph.ops:
            made = op.with_operands(new)
            if isinstance(made, ai8x.Layer):
                made = replace(made, place=None, mode=ai8x.Mode())
            new[op] = made
        outputs = [new[op] for op in self.graph.outputs]
        bare = make_graph("net", "ai8x", new.values(), outputs, self.graph.attributes)
        steps = [InsertCopies(), PlaceLayers(), CheckPlacement()]
        return run_pipeline(bare, steps, PassContext(self.device))


def highest_column(graph: Graph, network: Network) -> int:
    layers = [op for op in ai8x.layers(graph.ops) if op.place and op.place.kernel_start is not None]
    ends = [op.place.kernel_start + kernel_columns(op, network.device) for op in layers if op.place]
    return max(ends, default=0)


def several_in_one(graph: Graph) -> bool:
    """Whether the network's input holds several operands, which no integer graph does."""
    return any(len(op.xs) < op.parts for op in ai8x.layers(graph.ops))


def test_checker_follows_the_vendor(entry: golden_corpus.Entry) -> None:
    network = Network(entry)
    found = checker.check(network.theirs, network.device)
    expected = [why for name, why in REJECTED if re.fullmatch(name, entry.name)]
    if not expected:
        assert found == []
    assert not found or expected[0] in str(found[0])


def test_placed_as_well_as_by_hand(entry: golden_corpus.Entry) -> None:
    network = Network(entry)
    if several_in_one(network.graph):
        with pytest.raises(Rejected):
            _ = network.ours
        return
    ours = network.ours
    assert len(ai8x.layers(ours.ops)) == len(ai8x.layers(network.graph.ops))
    allocation = network.case["allocation"]
    ends = map(sum, zip(allocation["kern_offs"], allocation["kern_len"], strict=True))
    written = highest_column(network.theirs, network)  # narrow kernels may write more than they say
    assert highest_column(ours, network) <= max(*ends, written, 0)
    made = estimate(ours, network.device)
    if made is not None:
        assert made.total <= network.case["latency"]["total"]


def test_estimate_is_the_vendors(entry: golden_corpus.Entry) -> None:
    network = Network(entry)
    made = estimate(network.theirs, network.device)
    if made is None:
        pytest.skip("no cycle model of this device")
    assert [layer.total for layer in made.layers] == [
        cycles for cycles, _ in network.case["latency"]["layers"]
    ]
