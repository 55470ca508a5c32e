"""One network as exporters with channels first and with channels last write it."""

import dataclasses

import numpy as np

from ai8xc.driver import passes_of
from ai8xc.grammar.reader import read_graph
from ai8xc.ir import interp
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.plugins import load_passes

load_passes()

WEIGHTS = """
  %w0 = nn.constant() {value = dense<[[1.0, 2.0], [-3.0, 4.0]]>} : tensor<2x2xf32>
  %w1 = nn.reshape(%w0) {shape = (2, 2, 1, 1)} : tensor<2x2x1x1xf32>
  %b1 = nn.constant() {value = dense<[0.5, -0.5]>} : tensor<2xf32>
  %b2 = nn.constant() {value = dense<[0.25]>} : tensor<1xf32>
"""

CHANNELS_FIRST = f"""
nn.graph @net(%x: tensor<1x2x4x4xf32>) {{{WEIGHTS}
  %m0 = nn.constant() {{value = dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]>}} : tensor<8xf32>
  %m  = nn.reshape(%m0) {{shape = (1, 8)}} : tensor<1x8xf32>
  %c1 = nn.conv(%x, %w1, %b1) : tensor<1x2x4x4xf32> loc("conv1")
  %r1 = nn.relu(%c1) : tensor<1x2x4x4xf32> loc("relu1")
  %p1 = nn.max_pool(%r1) {{kernel = (2, 2), strides = (2, 2)}} : tensor<1x2x2x2xf32> loc("pool1")
  %f  = nn.reshape(%p1) {{shape = (1, 8)}} : tensor<1x8xf32> loc("flatten")
  %y  = nn.gemm(%f, %m, %b2) {{trans_b = true}} : tensor<1x1xf32> loc("fc")
  return %y
}}
"""

# The matrix counts through a1 b1 a2 b2 ... where the one above counts a1 a2 ... b1 b2 ...
CHANNELS_LAST = f"""
nn.graph @net(%x: tensor<1x2x4x4xf32>) {{{WEIGHTS}
  %m0 = nn.constant() {{value = dense<[1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]>}} : tensor<8xf32>
  %m  = nn.reshape(%m0) {{shape = (8, 1)}} : tensor<8x1xf32>
  %t0 = nn.transpose(%x) {{perm = (0, 2, 3, 1)}} : tensor<1x4x4x2xf32>
  %t1 = nn.transpose(%t0) {{perm = (0, 3, 1, 2)}} : tensor<1x2x4x4xf32> loc("conv1_in")
  %c1 = nn.conv(%t1, %w1) : tensor<1x2x4x4xf32> loc("conv1")
  %t2 = nn.transpose(%c1) {{perm = (0, 2, 3, 1)}} : tensor<1x4x4x2xf32> loc("conv1_out")
  %a1 = nn.add(%t2, %b1) : tensor<1x4x4x2xf32> loc("conv1_bias")
  %r1 = nn.relu(%a1) : tensor<1x4x4x2xf32> loc("relu1")
  %t3 = nn.transpose(%r1) {{perm = (0, 3, 1, 2)}} : tensor<1x2x4x4xf32> loc("pool1_in")
  %p1 = nn.max_pool(%t3) {{kernel = (2, 2), strides = (2, 2)}} : tensor<1x2x2x2xf32> loc("pool1")
  %t4 = nn.transpose(%p1) {{perm = (0, 2, 3, 1)}} : tensor<1x2x2x2xf32> loc("pool1_out")
  %f  = nn.reshape(%t4) {{shape = (1, 8)}} : tensor<1x8xf32> loc("flatten")
  %h  = nn.matmul(%f, %m) : tensor<1x1xf32> loc("fc")
  %y  = nn.add(%h, %b2) : tensor<1x1xf32> loc("fc_bias")
  return %y
}}
"""


def compiled(text: str) -> Graph:
    """What the float pipeline makes of a graph."""
    return run_pipeline(read_graph(text, "net.ir"), passes_of("float"), PassContext())


def anonymous(graph: Graph) -> str:
    """The text of a graph with names by position and without locations."""
    new: dict[Op, Op] = {}
    for op in make_graph(graph.name, graph.level, graph.inputs, graph.outputs).ops:
        plain = op.with_operands(new)
        new[op] = dataclasses.replace(plain, name=f"v{len(new)}", loc=UNKNOWN)
    return print_graph(
        make_graph(graph.name, graph.level, new.values(), [new[op] for op in graph.outputs])
    )


def test_both_layouts_compile_to_the_same_graph() -> None:
    first, last = compiled(CHANNELS_FIRST), compiled(CHANNELS_LAST)
    assert anonymous(first) == anonymous(last)
    assert [op.opcode for op in last.ops if op.operands] == [
        "nn.conv",
        "nn.max_pool",
        "nn.reshape",
        "nn.linear",
    ]


def test_both_layouts_compute_the_same() -> None:
    x = np.random.default_rng(3).normal(size=(1, 2, 4, 4)).astype(np.float32)
    want = interp.run(read_graph(CHANNELS_FIRST, "first.ir"), {"x": x})
    for graph in (read_graph(CHANNELS_LAST, "last.ir"), compiled(CHANNELS_LAST)):
        np.testing.assert_allclose(interp.run(graph, {"x": x})[0], want[0], rtol=1e-5)


def test_every_node_is_in_a_location() -> None:
    nodes = {node for op in compiled(CHANNELS_LAST).ops for node in op.loc.nodes}
    assert nodes >= {"conv1", "conv1_bias", "relu1", "pool1", "flatten", "fc", "fc_bias"}


def test_a_batch_norm_behind_flatten_does_not_hold_a_transpose() -> None:
    graph = compiled(
        """
nn.graph @net(%x: tensor<1x2x2x2xf32>) {
  %w = nn.constant() {value = splat<0.5>} : tensor<3x8xf32>
  %p = nn.constant() {value = splat<2.0>} : tensor<8xf32>
  %t = nn.transpose(%x) {perm = (0, 2, 3, 1)} : tensor<1x2x2x2xf32>
  %f = nn.reshape(%t) {shape = (1, 8)} : tensor<1x8xf32>
  %n = nn.batch_norm(%f, %p, %p, %p, %p) : tensor<1x8xf32>
  %y = nn.linear(%n, %w) : tensor<1x3xf32>
  return %y
}
"""
    )
    assert [op.opcode for op in graph.ops if op.operands] == ["nn.reshape", "nn.linear"]
