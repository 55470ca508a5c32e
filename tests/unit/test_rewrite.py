"""The rewrite driver: fixed point, counts of readers, dead ops, and laws without an end."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.rewrite import rewrite
from ai8xc.ir.types import TensorType

X = Input(TensorType((1, 4)), name="x")


def chain(*classes: type[Op]) -> Graph:
    value: Op = X
    for cls in classes:
        value = cls(value)
    return make_graph("net", "nn", [X], [value])


def opcodes(graph: Graph) -> list[str]:
    return [op.opcode for op in graph.ops]


def drop_identity(op: Op, uses: Mapping[Op, int]) -> Op | None:
    return op.x if isinstance(op, nn.Identity) else None


def relu_of_relu(op: Op, uses: Mapping[Op, int]) -> Op | None:
    match op:
        case nn.Relu(x=nn.Relu() as first):
            return first
        case _:
            return None


def abs_of_only_relu(op: Op, uses: Mapping[Op, int]) -> Op | None:
    match op:
        case nn.Abs(x=nn.Relu() as relu) if uses[relu] == 1:
            return replace(relu, name=op.name)
        case _:
            return None


def test_nothing_to_do_returns_the_same_graph() -> None:
    graph = chain(nn.Relu, nn.Abs)
    assert rewrite(graph, [drop_identity]) is graph


def test_laws_reach_a_fixed_point_through_a_long_chain() -> None:
    graph = rewrite(chain(*[nn.Identity, nn.Relu] * 60), [drop_identity, relu_of_relu])
    assert opcodes(graph) == ["ir.input", "nn.relu"]


def test_readers_are_counted() -> None:
    relu = nn.Relu(X, name="r")
    once = make_graph("net", "nn", [], [nn.Abs(relu)])
    twice = make_graph("net", "nn", [], [nn.Abs(relu), nn.Tanh(relu)])
    returned = make_graph("net", "nn", [], [nn.Abs(relu), relu])
    assert opcodes(rewrite(once, [abs_of_only_relu])) == ["ir.input", "nn.relu"]
    assert rewrite(twice, [abs_of_only_relu]) is twice
    assert rewrite(returned, [abs_of_only_relu]) is returned


def test_count_follows_a_rewrite_in_the_same_sweep() -> None:
    """The second reader of the relu goes away first; then the relu has one reader."""
    relu = nn.Relu(X, name="r")
    graph = make_graph("net", "nn", [], [nn.Abs(relu, name="a"), nn.Identity(relu, name="i")])

    def forget_reader(op: Op, uses: Mapping[Op, int]) -> Op | None:
        return nn.Tanh(X, name=op.name) if isinstance(op, nn.Identity) else None

    after = rewrite(graph, [forget_reader, abs_of_only_relu])
    assert sorted(opcodes(after)) == ["ir.input", "nn.relu", "nn.tanh"]


def test_ops_that_lost_their_reader_are_removed_others_stay() -> None:
    unread = nn.Tanh(X, name="unread")
    inner = nn.Abs(X, name="inner")
    graph = make_graph("net", "nn", [unread], [nn.Sigmoid(inner, name="s")])

    def forget_operand(op: Op, uses: Mapping[Op, int]) -> Op | None:
        return nn.Sigmoid(X, name="t") if isinstance(op, nn.Sigmoid) and op.x is not X else None

    names = {op.name for op in rewrite(graph, [forget_operand])}
    assert names == {"x", "unread", "t"}


def test_outputs_and_names_survive() -> None:
    relu = nn.Relu(X, name="r")
    graph = make_graph("net", "nn", [], [nn.Identity(relu, name="i"), relu])
    after = rewrite(graph, [drop_identity])
    assert [op.name for op in after.outputs] == ["r", "r"]


def test_laws_that_never_rest_are_an_error() -> None:
    def flip(op: Op, uses: Mapping[Op, int]) -> Op | None:
        cls = {nn.Relu: nn.Abs, nn.Abs: nn.Relu}.get(type(op))
        return cls(op.operands[0], name=op.name) if cls else None

    with pytest.raises(RuntimeError, match="keep rewriting"):
        rewrite(chain(nn.Relu), [flip])
