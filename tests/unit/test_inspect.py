"""`ai8xc inspect` and the Python interface of a compiled model."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import ai8xc
from ai8xc.cli.main import cli

NET = """q.graph @net(%x: tensor<1x2x3x4xi8> loc("x")) {
  %w = q.constant() {value = file<"w">} : tensor<3x2x1x1xi8>
  %c = q.conv(%x, %w) {activation = "relu"} : tensor<1x3x3x4xi8> loc("/body/Conv")
  %p = q.max_pool(%c) {kernel = (2, 2), strides = (1, 1)} : tensor<1x3x2x3xi8> loc("/pool")
  return %p
}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.ir"
    path.write_text(NET)
    np.savez(tmp_path / "net.npz", w=np.ones((3, 2, 1, 1), np.int8))
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


def test_python(model, tmp_path):
    sample = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    result = ai8xc.compile(model, device="max78000", sample=sample)
    assert result.graph.level == "reg"
    assert result.registers.device == "max78000"
    assert result.registers.function("cnn_start").accesses
    assert result.estimate.total == 1 + sum(layer.total for layer in result.estimate.layers)
    assert [layer.name for layer in result.estimate.layers] == ["c", "p"]
    result.write(tmp_path / "build")
    assert (tmp_path / "build" / "cnn.c").is_file()
    assert ai8xc.compile(model, device="max78002").estimate is None
    early = ai8xc.compile(model, emit=(), pipeline="layers")
    assert (early.registers, early.estimate) == (None, None)


def test_model_and_project_agree(model, tmp_path):
    ai8xc.compile(model).write(tmp_path / "build")
    shown = json.loads(invoke("inspect", model, "--format", "json").stdout)
    again = json.loads(invoke("inspect", tmp_path / "build", "--format", "json").stdout)
    assert shown["name"] == again["name"] == "net"
    assert [layer["nodes"] for layer in again["layers"]] == [["/body/Conv"], ["/pool"]]
    assert [layer["cycles"] for layer in shown["layers"]] == [
        layer["cycles"] for layer in again["layers"]
    ]
    assert shown["memory"] == again["memory"]
    text = invoke("inspect", tmp_path / "build").stdout
    assert "net on max78000" in text
    assert "/body/Conv" in text
    assert f"cycles  {shown['cycles']['total']}" in text


def test_page(model, tmp_path):
    result = invoke("inspect", model, "--html", tmp_path / "page.html")
    assert result.exit_code == 0
    assert "<html" in (tmp_path / "page.html").read_text()[:200]
    refused = invoke("inspect", tmp_path, "--html", tmp_path / "page.html")
    assert refused.exit_code == 2


@pytest.mark.parametrize("name", ["nothing.onnx", "."])
def test_nothing_to_see(tmp_path, name):
    result = invoke("inspect", tmp_path / name)
    assert result.exit_code == 2
    assert "error[" in result.stderr


def test_rejected_model(model):
    model.write_text(NET.replace("1x2x3x4", "1x2x3000x4").replace("1x3x3x", "1x3x3000x"))
    result = invoke("inspect", model)
    assert result.exit_code == 2
    assert "error[" in result.stderr
