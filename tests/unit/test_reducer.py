"""A failing model is reduced to the part that fails, the same part on each run."""

from pathlib import Path
from random import Random

import numpy as np
import onnx
import onnx_models
import pytest
from click.testing import CliRunner, Result
from fuzz.illegal import BREAKS, illegal

from ai8xc.cli.main import cli
from ai8xc.device import load_device
from ai8xc.driver import load
from ai8xc.files import ir_files, write_files
from ai8xc.reducer import Failure, breaks, failure, reduced


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["reduce", *map(str, arguments)])


@pytest.fixture
def swapped(tmp_path: Path) -> Path:
    """A random network that ends in a transposition, which no layer does."""
    entry = next(entry for entry in BREAKS if entry[0] == "AX110")
    _, graph = illegal(Random(7), load_device("max78000"), entry)
    assert len(graph.ops) > 6
    write_files(tmp_path, ir_files("swapped", graph))
    return tmp_path / "swapped.ir"


def test_only_the_op_at_fault_is_left(swapped: Path) -> None:
    out = swapped.with_name("small.ir")
    result = run(swapped, "-o", out, "--fails-with", "ax110")
    assert result.exit_code == 0, result.output
    graph = load(out)
    assert [op.opcode for op in graph.ops] == ["ir.input", "q.transpose"]
    assert failure(out, "max78000") == Failure(frozenset({"AX110"}))


def test_two_runs_agree(swapped: Path) -> None:
    test = breaks("AX110", "max78000")
    assert reduced(swapped, test) == reduced(swapped, test)


def test_a_command_decides(swapped: Path) -> None:
    out = swapped.with_name("small.ir")
    assert run(swapped, "-o", out, "--while", "grep -q transpose {}").exit_code == 0
    assert len(load(out).ops) == 2


def test_a_crash_stays_the_same_crash(swapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai8xc.passes.fuse_layers import FuseLayers

    def broken(self: FuseLayers, graph: object, ctx: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FuseLayers, "run", broken)
    out = swapped.with_name("small.ir")
    assert run(swapped, "-o", out, "--crash").exit_code == 0
    assert failure(out, "max78000").crash == "fuse-layers: ZeroDivisionError"
    assert len(load(out).ops) < len(load(swapped).ops) - 2


def test_onnx_stays_onnx(tmp_path: Path) -> None:
    x = np.zeros((1, 4, 8, 8), np.float32)
    nodes = [
        onnx_models.node("Relu", "x", "a"),
        onnx_models.node("Erf", "a", "b"),
        onnx_models.node("Relu", "b", "c"),
        onnx_models.node("Abs", "c", "y"),
    ]
    model = onnx_models.model_of(nodes, {"x": x})
    onnx.save(onnx.shape_inference.infer_shapes(model), tmp_path / "net.onnx")
    rules = failure(tmp_path / "net.onnx", "max78000").rules
    assert len(rules) == 1
    out = tmp_path / "small.onnx"
    result = run(tmp_path / "net.onnx", "-o", out)
    assert result.exit_code == 0, result.output
    assert [node.op_type for node in onnx.load(out).graph.node] == ["Erf"]
    assert failure(out, "max78000").rules == rules


@pytest.mark.parametrize("option", [[], ["--crash"], ["--fails-with", "AX101"]])
def test_what_does_not_fail_is_refused(tmp_path: Path, option: list[str]) -> None:
    net = Path(__file__).parents[2] / "examples/digits/digits.onnx"
    result = run(net, "-o", tmp_path / "small.onnx", *option)
    assert result.exit_code == 2
    assert "IR067" in result.output
    assert not (tmp_path / "small.onnx").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("layers: []")
    result = run(tmp_path / "net.yaml", "-o", tmp_path / "o.yaml", "--while", "true")
    assert result.exit_code == 2
    assert "IR068" in result.output


def test_one_question_at_a_time(swapped: Path) -> None:
    assert run(swapped, "-o", "x.ir", "--crash", "--while", "true").exit_code == 2
