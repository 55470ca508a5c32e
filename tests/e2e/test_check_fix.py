"""`ai8xc check --fix`: cured models break the cured rules no more, exact cures keep the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import NodeProto
from onnx_models import expected, model_of, node, real, saved

from ai8xc.cli.main import cli
from ai8xc.driver import Options
from ai8xc.frontend.onnx_fix import fix_onnx
from ai8xc.ir.diag import errors
from ai8xc.survey import survey

X = {"x": real(1, 4, 8, 8)}
W = {"w": real(4, 4, 3, 3) / 6}
CONV = node("Conv", "x w", "c", pads=[1, 1, 1, 1])
LAST = node("Conv", "a w", "y", pads=[1, 1, 1, 1])


class Case(NamedTuple):
    """A model, the rules that it breaks, what is done, and whether that keeps the outputs."""

    name: str
    nodes: Sequence[NodeProto]
    constants: dict[str, np.ndarray]
    broken: set[str]
    effects: list[str]


def between(kind: str, *more: str, **attributes: Any) -> list[NodeProto]:
    """A node of this kind between two convolutions."""
    return [CONV, node(kind, " ".join(["c", *more]), "a", **attributes), LAST]


BN = {"s": real(4) + 3, "b": real(4), "m": real(4), "v": np.abs(real(4)) + 1}
CASES = [
    Case("dropout", between("Dropout"), W, set(), ["exact"]),
    Case("batch norm", between("BatchNormalization", "s", "b", "m", "v"), W | BN, set(), ["exact"]),
    Case(
        "max", between("Max", "zero"), W | {"zero": np.zeros(1, np.float32)}, {"NN010"}, ["exact"]
    ),
    Case(
        "pool in front of the activation",
        [
            CONV,
            node("MaxPool", "c", "p", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", "p", "a"),
            LAST,
        ],
        W,
        set(),
        ["exact"],
    ),
    Case("softmax", [CONV, node("Softmax", "c", "y", axis=1)], W, set(), ["host"]),
    Case("log softmax", [CONV, node("LogSoftmax", "c", "y", axis=1)], W, {"NN010"}, ["host"]),
    *(
        Case(kind, between(kind), W, {"NN010"}, ["retrain"])
        for kind in ("HardSwish", "Elu", "Softplus", "Selu", "ThresholdedRelu")
    ),
    *(Case(kind, between(kind), W, {"Q010"}, ["retrain"]) for kind in ("LeakyRelu", "Tanh")),
    Case("PRelu", between("PRelu", "slope"), W | {"slope": real(4, 1, 1)}, {"NN010"}, ["retrain"]),
    Case(
        "SiLU",
        [CONV, node("Sigmoid", "c", "g"), node("Mul", "c g", "a"), LAST],
        W,
        {"Q010"},
        ["retrain"],
    ),
    Case("LRN", between("LRN", size=3), W, {"NN010"}, ["retrain"]),
    Case(
        "average with padding",
        between("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        W,
        {"Q010"},
        ["retrain"],
    ),
]


def rules_of(path: Path, device: str = "max78000") -> set[str]:
    return {finding.rule.id for finding in errors(survey(path, Options(device)).diagnostics)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cure(case: Case, tmp_path: Path) -> None:
    path = saved(model_of(case.nodes, X, case.constants), tmp_path)
    found = survey(path, Options("max78000"))
    assert {finding.rule.id for finding in errors(found.diagnostics)} == case.broken
    content, done = fix_onnx(path, found.diagnostics)
    assert [fix.effect for fix in done] == case.effects
    out = tmp_path / "cured.onnx"
    out.write_bytes(content)
    assert survey(out, Options("max78000")).fits
    before, after = expected(path, X)[0], expected(out, X)[0]
    assert before.shape == after.shape
    if case.effects == ["exact"]:
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    if case.effects == ["host"]:  # computed behind the network
        scores = np.exp(after) / np.exp(after).sum(axis=1, keepdims=True)
        wanted = np.exp(before) if case.name == "log softmax" else before
        np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-6)


def test_a_large_window_becomes_small_ones(tmp_path: Path) -> None:
    """As many values are seen, the size stays."""
    nodes = [node("Conv", "x k b", "a", pads=[2, 2, 2, 2], strides=[2, 2]), LAST]
    path = saved(model_of(nodes, X, W | {"k": real(4, 4, 5, 5), "b": real(4)}), tmp_path)
    finding = broken_at("AX102", "Conv_a")
    content, done = fix_onnx(path, [finding])
    assert [(fix.node, fix.effect) for fix in done] == [("Conv_a", "retrain")]
    out = tmp_path / "cured.onnx"
    out.write_bytes(content)
    convolutions = [n for n in onnx.load(out).graph.node if n.op_type == "Conv"]
    assert len(convolutions) == 3
    assert expected(out, X)[0].shape == expected(path, X)[0].shape
    assert not rules_of(out)
    assert fix_onnx(path, [finding])[0] == content


def test_dilation_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y", dilations=[2, 2], pads=[2, 2, 2, 2])]
    path = saved(model_of(nodes, X, W), tmp_path)
    content, done = fix_onnx(path, [broken_at("AX106", "Conv_y")])
    assert [fix.effect for fix in done] == ["retrain"]
    out = tmp_path / "cured.onnx"
    out.write_bytes(content)
    assert expected(out, X)[0].shape == expected(path, X)[0].shape


def test_a_transposed_window_becomes_smaller(tmp_path: Path) -> None:
    nodes = [node("ConvTranspose", "x k", "y", pads=[1, 1, 1, 1], strides=[2, 2])]
    path = saved(model_of(nodes, X, {"k": real(4, 6, 4, 4)}), tmp_path)
    content, done = fix_onnx(path, [broken_at("AX107", "ConvTranspose_y")])
    assert [fix.effect for fix in done] == ["retrain"]
    out = tmp_path / "cured.onnx"
    out.write_bytes(content)
    assert expected(out, X)[0].shape == expected(path, X)[0].shape
    assert not rules_of(out)


def broken_at(rule: str, label: str) -> Any:
    from ai8xc.ir.diag import Rule
    from ai8xc.ir.loc import Loc

    return Rule(rule, "broken", "").at(Loc("net.onnx", (label,)))


def test_command_tells_what_it_did(tmp_path: Path) -> None:
    nodes = [CONV, node("HardSwish", "c", "h"), node("Dropout", "h", "a"), LAST]
    path = saved(model_of(nodes, X, W), tmp_path)
    out = tmp_path / "cured.onnx"
    result = CliRunner().invoke(cli, ["check", str(path), "--fix", str(out)])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert "`cured.onnx`: 2 changes" in lines
    assert "  same outputs  `Dropout_a`: dropout removed" in lines
    assert "  train again   `HardSwish_h`: Relu in the place of HardSwish" in lines
    assert lines[-1] == "  max78000: fits"


def test_only_onnx_models_are_changed(tmp_path: Path) -> None:
    path = tmp_path / "net.ir"
    path.write_text("q.graph @g(%x: tensor<1x4x8x8xi8>) {\n  return %x\n}\n")
    result = CliRunner().invoke(cli, ["check", str(path), "--fix", str(tmp_path / "o.onnx")])
    assert result.exit_code == 2
    assert not (tmp_path / "o.onnx").exists()
