"""Passes: options, pipelines, needs, hooks, proof, and passes of the user."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from ai8xc.dialects import nn, q
from ai8xc.driver import passes_of
from ai8xc.grammar.reader import read_graph
from ai8xc.ir import passes as registry
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.hooks import DumpIr, PrintAfter, Timer, VerificationFailed, VerifyEach
from ai8xc.ir.passes import Pass, PassContext, PassFailed, PassSpec, build, run_pipeline
from ai8xc.ir.prove import ProofFailed, Prove
from ai8xc.ir.types import TensorType
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_entry_points, load_file, load_passes

load_passes()
X = Input(TensorType((1, 4)), name="x")
NET = make_graph("net", "nn", [X], [nn.Abs(nn.Relu(X, name="r"), name="a")])


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Pass]]:
    """A copy of the registry that is thrown away."""
    copy = dict(registry.passes())
    monkeypatch.setattr(registry, "_PASSES", copy)
    return copy


@dataclass(frozen=True)
class Rename(Pass):
    """Rename the graph."""

    name: ClassVar[str] = "rename"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})

    to_name: str = "other"
    count: int = 1
    factor: float = 1.0
    loud: bool = False

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        return replace(graph, name=self.to_name)


@dataclass(frozen=True)
class Break(Pass):
    """Do one of the things that a pass must not do."""

    name: ClassVar[str] = "break"
    how: str = "raise"

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        match self.how:
            case "raise":
                raise ZeroDivisionError("oh")
            case "empty":
                return replace(graph, outputs=())
            case _:
                return make_graph("net", "nn", [X], [nn.Tanh(nn.Relu(X, name="r"), name="a")])


def test_options_from_text(scratch: dict[str, type[Pass]]) -> None:
    scratch["rename"] = Rename
    (built,) = passes_of("rename{to-name=z, count=3, factor=2, loud=true}")
    assert built == Rename("z", 3, 2, True)
    assert str(Rename("z", loud=True)) == "rename{to-name=z,loud=true}"
    assert passes_of(str(built)) == [built]


@pytest.mark.parametrize(
    "options", [{"no": 1}, {"count": 1.5}, {"count": True}, {"loud": 1}, {"to-name": 3}]
)
def test_wrong_option(scratch: dict[str, type[Pass]], options: dict[str, object]) -> None:
    scratch["rename"] = Rename
    with pytest.raises(Rejected) as caught:
        build([PassSpec("rename", options)])
    assert [d.rule.id for d in caught.value.diagnostics] == ["IR012"]
    assert caught.value.unusable


def test_everything_wrong_in_a_pipeline_is_told_at_once() -> None:
    with pytest.raises(Rejected) as caught:
        passes_of("remove-identitys,no-pass,quantize{bits=4}")
    first, second, third = caught.value.diagnostics
    assert [d.rule.id for d in (first, second, third)] == ["IR011", "IR011", "IR012"]
    assert first.help == "did you mean `remove-identities`?"


def test_named_pipelines_consist_of_passes_that_exist() -> None:
    for name, text in PIPELINES.items():
        assert [p.name for p in passes_of(name)] == [p.name for p in passes_of(text)]


def test_settings_reach_passes_inside_a_named_pipeline() -> None:
    (built,) = [p for p in passes_of("integer", {"quantize": {"weight-bits": 4}})
                if p.name == "quantize"]  # fmt: skip
    assert str(built) == "quantize{weight-bits=4}"


def test_needs_are_checked() -> None:
    graph = replace(NET, level="q")
    with pytest.raises(Rejected) as caught:
        run_pipeline(graph, [Rename()], PassContext())
    assert [d.rule.id for d in caught.value.diagnostics] == ["IR010"]


def test_errors_stop_after_the_step_with_all_findings() -> None:
    rule = declare("IR999", "wrong {what}", "Only of this test.")

    class Report(Rename):
        def run(self, graph: Graph, ctx: PassContext) -> Graph:
            for op in graph:
                ctx.report(rule.at(op, what=op.name))
            return graph

    with pytest.raises(Rejected) as caught:
        run_pipeline(NET, [Report(), Break()], PassContext())
    assert [d.message for d in caught.value.diagnostics] == ["wrong x", "wrong r", "wrong a"]


def test_our_mistake_keeps_the_graph_and_the_passes_left() -> None:
    with pytest.raises(PassFailed) as caught:
        run_pipeline(NET, [Rename("z"), Break(), Rename()], PassContext())
    assert caught.value.graph.name == "z"
    assert [str(p) for p in caught.value.left] == ["break", "rename"]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_verify_each_names_the_pass() -> None:
    run_pipeline(NET, [Break("empty")], PassContext())
    with pytest.raises(PassFailed) as caught:
        run_pipeline(NET, [Break("empty")], PassContext(), [VerifyEach()])
    assert isinstance(caught.value.__cause__, VerificationFailed)
    assert "`break`" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("hook", "printed"),
    [
        (("all", False), ["rename{to-name=z}", "remove-identities", "rename{to-name=y}"]),
        (("all", True), ["rename{to-name=z}", "rename{to-name=y}"]),
        (("rename", False), ["rename{to-name=z}", "rename{to-name=y}"]),
    ],
)
def test_print_after(hook: tuple[str, bool], printed: list[str]) -> None:
    said: list[str] = []
    pipeline = [Rename("z"), *passes_of("remove-identities"), Rename("y")]
    run_pipeline(NET, pipeline, PassContext(), [PrintAfter(said.append, *hook)])
    assert [text.splitlines()[0] for text in said] == [f"// ----- after {p} -----" for p in printed]
    assert all(read_graph(text, "said.ir") for text in said)


def test_dump_and_time() -> None:
    dumped: dict[str, str] = {}
    timer = Timer()
    dump = DumpIr(lambda name, text, arrays: dumped.update({name: text}))
    run_pipeline(NET, [Rename("z"), Rename("y")], PassContext(), [dump, timer])
    assert list(dumped) == ["01-rename", "02-rename"]
    assert "@y" in dumped["02-rename"]
    assert [name for name, _ in timer.seconds] == ["rename", "rename"]
    assert timer.table().splitlines()[-1].endswith("100.0 %  total")


def prove(graph: Graph, *pipeline: Pass) -> list[str]:
    said: list[str] = []
    samples = [np.linspace(-1, 1, 4).reshape(1, 4)]
    run_pipeline(graph, pipeline, PassContext(), [Prove(samples, said.append)])
    return said


def test_proof_of_right_passes() -> None:
    said = prove(NET, Rename("z"), *passes_of("remove-identities"))
    assert said == [
        "proven: rename (3 values equal to rounding)",
        "proven: remove-identities (nothing changed)",
    ]


def test_proof_names_pass_and_op_that_changed_a_value() -> None:
    with pytest.raises(PassFailed) as caught:
        prove(NET, Break("change"))
    assert isinstance(caught.value.__cause__, ProofFailed)
    assert "pass `break` changed the value of `%a`" in str(caught.value.__cause__)


def test_proof_of_integers_is_exact() -> None:
    x = Input(TensorType((1, 4), "i8"), name="x")
    net = make_graph("net", "q", [x], [q.Abs(x, name="a")])

    class Negate(Break):
        def run(self, graph: Graph, ctx: PassContext) -> Graph:
            return make_graph("net", "q", [x], [q.Relu(x, name="a")])

    with pytest.raises(PassFailed) as caught:
        prove(net, Negate())
    assert "at (0, 0) 127 became 0" in str(caught.value.__cause__)


def test_user_pass_from_a_file(scratch: dict[str, type[Pass]]) -> None:
    load_file(Path(__file__).parents[2] / "examples/passes/double_negation.py")
    minus = nn.Constant(Data(np.float32(-1)), name="m")
    once: Op = nn.Mul(X, minus)
    graph = make_graph("net", "nn", [X], [nn.Relu(nn.Mul(once, minus))])
    after = run_pipeline(graph, passes_of("remove-double-negation"), PassContext())
    assert [op.opcode for op in after] == ["ir.input", "nn.relu"]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with an entry point `ai8xc.passes`."""
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ai8xc.passes]\nmine = mine_passes\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "mine_passes.py"
    sys.modules.pop("mine_passes", None)


def test_user_pass_from_an_entry_point(distribution: Path, scratch: dict[str, type[Pass]]) -> None:
    source = Path(__file__).parents[2] / "examples/passes/double_negation.py"
    distribution.write_text(source.read_text())
    load_entry_points("ai8xc.passes")
    assert "remove-double-negation" in scratch


def test_broken_plugin_is_a_finding(distribution: Path) -> None:
    distribution.write_text("raise RuntimeError('no')")
    with pytest.raises(Rejected) as caught:
        load_entry_points("ai8xc.passes")
    (finding,) = caught.value.diagnostics
    assert finding.rule.id == "IR053"
    assert "RuntimeError: no" in finding.message
