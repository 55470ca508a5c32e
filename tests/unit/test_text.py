"""Text of graphs: every op, every kind of mistake, and MLIR's tools."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ai8xc.grammar.pipeline import read_pipeline
from ai8xc.grammar.reader import read_graph
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph, op_classes
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.printer import constants, print_graph, print_mlir
from ai8xc.ir.verify import verify
from ai8xc.plugins import load_dialects

load_dialects()
EVERY_OP = sorted((Path(__file__).parents[1] / "every_op").glob("*.ir"))


def read(path: Path) -> Graph:
    return read_graph(path.read_text(), path.name)


def again(graph: Graph) -> Graph:
    return read_graph(print_graph(graph), "again.ir", constants(graph))


def samples(opcode: str) -> list[tuple[Op, Graph]]:
    graphs = [read(path) for path in EVERY_OP if path.stem == opcode.partition(".")[0]]
    return [(op, graph) for graph in graphs for op in graph if op.opcode == opcode]


@pytest.mark.parametrize("opcode", sorted(set(op_classes()) - {"ir.input"}))
def test_op_round_trips(opcode: str) -> None:
    """An op without a sample in tests/every_op fails here: add a line to its level's file."""
    found = samples(opcode)
    assert found, f"tests/every_op/{opcode.partition('.')[0]}.ir does not use {opcode}"
    for op, graph in found:
        other = next(copy for copy in again(graph) if copy.name == op.name)
        assert other.attributes() == op.attributes()
        assert [o.name for o in other.operands] == [o.name for o in op.operands]
        assert other.type == op.type
        assert other.loc.nodes == op.loc.nodes


@pytest.mark.parametrize("path", EVERY_OP, ids=lambda path: path.stem)
def test_printed_text_is_stable(path: Path) -> None:
    graph = read(path)
    assert not verify(graph)
    text = print_graph(graph)
    assert print_graph(again(graph)) == text
    assert again(graph).attributes == graph.attributes


@pytest.mark.parametrize("path", EVERY_OP, ids=lambda path: path.stem)
def test_mlir_tools_read_the_generic_syntax(path: Path) -> None:
    pytest.importorskip("xdsl")
    tool = "from xdsl.tools.xdsl_opt import main; main()"
    command = [sys.executable, "-c", tool, "--allow-unregistered-dialect"]
    result = subprocess.run(
        command, input=print_mlir(read(path)), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    for op in read(path):
        assert isinstance(op, Input) or f'"{op.opcode}"' in result.stdout


def test_large_constants_stand_beside_the_text() -> None:
    from ai8xc.dialects import nn

    values = np.arange(20, dtype=np.float32)
    constant = nn.Constant(Data(values), name="w")
    graph = make_graph("net", "nn", [constant], [nn.Relu(constant, name="y")])
    assert 'file<"w">' in print_graph(graph)
    assert list(constants(graph)) == ["w"]
    with pytest.raises(Rejected) as caught:
        read_graph(print_graph(graph), "net.ir")
    assert [d.rule.id for d in caught.value.diagnostics] == ["IR029"]


HEAD = "nn.graph @net(%x: tensor<1x4xf32>) {\n"
TAIL = "  return %x\n}\n"


def only_finding(text: str) -> Diagnostic:
    with pytest.raises(Rejected) as caught:
        read_graph(text, "net.ir")
    (finding,) = caught.value.diagnostics
    return finding


def line2(text: str) -> str:
    return f"{HEAD}  {text}\n{TAIL}"


SYNTAX_ERRORS = {
    "empty": ("", 1, 1, "text ends", "an op name"),
    "no name": ("nn.graph net() {}", 1, 10, "`net`", "a graph name"),
    "no type": ("nn.graph @net(%x) {}", 1, 17, "`)`", "`:`"),
    "bad type": ("nn.graph @net(%x: int) {}", 1, 19, "`i`", "`tensor`"),
    "no value name": (line2("y = nn.relu(%x) : tensor<4xf32>"), 2, 3, "`y`", "%x"),
    "no equals": (line2("%y nn.relu(%x) : tensor<4xf32>"), 2, 6, "`nn.relu`", "`=`"),
    "no operands": (line2("%y = nn.relu : tensor<4xf32>"), 2, 16, "`:`", "`(`"),
    "open operands": (line2("%y = nn.relu(%x : tensor<4xf32>"), 2, 19, "`:`", "`)`"),
    "open attributes": (line2("%y = nn.a(%x) {b = 1 : tensor<4xf32>"), 2, 24, "`:`", "`}`"),
    "no value": (line2("%y = nn.a(%x) {b = } : tensor<4xf32>"), 2, 22, "`}`", "a number"),
    "no result type": (line2("%y = nn.relu(%x)"), 3, 3, "`return`", "`:`"),
    "no return": (HEAD + "}\n", 2, 1, "`}`", "`return`"),
    "not closed": (HEAD + "  return %x\n", 3, 1, "text ends", "`}`"),
    "more behind": (HEAD + TAIL + "nn", 4, 1, "`nn`", "the end"),
    "open string": (line2('%y = nn.a(%x) : tensor<4xf32> loc("a'), 2, 37, '`"`', "a string"),
    "strange character": (line2("%y = nn.a(%x) ; tensor<4xf32>"), 2, 17, "`;`", "`:`"),
}


@pytest.mark.parametrize("kind", SYNTAX_ERRORS)
def test_syntax_error(kind: str) -> None:
    text, line, column, found, expected = SYNTAX_ERRORS[kind]
    finding = only_finding(text)
    assert finding.rule.id == "IR020"
    assert (finding.loc.line, finding.loc.column) == (line, column)
    assert found in finding.message
    assert expected in "".join(finding.notes)


MISTAKES = {
    "IR022": "  %y = nn.no_such(%x) : tensor<1x4xf32>\n",
    "IR023": "  %y = nn.relu(%z) : tensor<1x4xf32>\n",
    "IR024": "  %y = nn.relu(%x, %x) : tensor<1x4xf32>\n",
    "IR025": "  %y = nn.relu(%x) {a = 1} : tensor<1x4xf32>\n",
    "IR026": '  %y = nn.clip(%x) {low = "a"} : tensor<1x4xf32>\n',
    "IR027": "  %y = nn.constant() : tensor<1x4xf32>\n",
    "IR028": "  %y = nn.relu(%x) : tensor<1x5xf32>\n",
    "IR029": '  %y = nn.constant() {value = file<"y">} : tensor<1x4xf32>\n',
    "IR030": "  %y = nn.relu(%x) : tensor<1x4xf33>\n",
    "IR040": "  %y = nn.reshape(%x) {shape = (1, 5)} : tensor<1x5xf32>\n",
}


@pytest.mark.parametrize("rule", MISTAKES)
def test_mistake_in_an_op(rule: str) -> None:
    finding = only_finding(HEAD + MISTAKES[rule] + TAIL)
    assert finding.rule.id == rule
    assert finding.loc.line == 2


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Rejected) as caught:
        read_graph(HEAD + "".join(MISTAKES.values()) + TAIL, "net.ir")
    assert sorted(d.rule.id for d in caught.value.diagnostics) == sorted(MISTAKES)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a", [("a", {})]),
        ("a,b-c", [("a", {}), ("b-c", {})]),
        ("a{x=1}", [("a", {"x": 1})]),
        (
            'a{x=-1, y=0.5, z=true, w=word, s="two words"},b',
            [("a", {"x": -1, "y": 0.5, "z": True, "w": "word", "s": "two words"}), ("b", {})],
        ),
    ],
)
def test_pipeline_text(text: str, options: list[tuple[str, dict[str, object]]]) -> None:
    assert [(spec.name, dict(spec.options)) for spec in read_pipeline(text)] == options


@pytest.mark.parametrize(
    ("text", "column"), [("a,", 3), ("a{x}", 4), ("a{x=}", 5), ("a b", 3), (",", 1), ("a{x=1", 6)]
)
def test_pipeline_syntax_error(text: str, column: int) -> None:
    with pytest.raises(Rejected) as caught:
        read_pipeline(text)
    (finding,) = caught.value.diagnostics
    assert finding.rule.id == "IR021"
    assert finding.loc.column == column
    assert finding.notes
