"""What `ai8xc check` finds out about a model: all levels at once, layers, margins, devices."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx_models import model_of, node, real, saved

import ai8xc
from ai8xc.cli.main import cli
from ai8xc.driver import Options
from ai8xc.ir.diag import errors
from ai8xc.survey import survey

ROOT = Path(__file__).parents[2]
MNIST = ROOT / "examples" / "mnist" / "mnist.onnx"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def ids(path: Path, device: str = "max78000") -> set[str]:
    return {finding.rule.id for finding in errors(survey(path, Options(device)).diagnostics)}


def test_all_levels_at_once(tmp_path: Path) -> None:
    """An operator that is not known, one without integers, a pool, channels: each is reported."""
    nodes = [
        node("Conv", "x w", "a"),
        node("HardSwish", "a", "b"),
        node("Conv", "b w", "c"),
        node("Sigmoid", "c", "d"),
        node("Conv", "d w", "e"),
        node("AveragePool", "e", "f", kernel_shape=[2, 2], strides=[1, 2]),
        node("Conv", "f v", "y"),
    ]
    constants = {"w": real(4, 4, 1, 1), "v": real(1025, 4, 1, 1)}
    path = saved(model_of(nodes, {"x": real(1, 4, 8, 8)}, constants), tmp_path)
    found = survey(path, Options("max78000"))
    wrong = {finding.rule.id: finding for finding in errors(found.diagnostics)}
    assert set(wrong) == {"NN010", "Q010", "AX108", "CHAN-OUT"}
    assert wrong["NN010"].loc.nodes == ("HardSwish_b",)
    assert wrong["Q010"].loc.nodes == ("Sigmoid_d",)
    assert wrong["AX108"].loc.nodes == ("AveragePool_f",)
    assert wrong["CHAN-OUT"].loc.nodes == ("Conv_y",)
    assert [row.nodes[-1] for row in found.layers] == ["Conv_a", "Conv_c", "Conv_e", "Conv_y"]
    assert not found.complete
    assert {finding.rule.id for finding in ai8xc.check(path)} == set(wrong)


def test_what_compiles_fits(tmp_path: Path) -> None:
    """The verdict is the compiler's, and its numbers are those of the placed network."""
    found = survey(MNIST, Options("max78000"))
    assert found.fits
    assert found.placed
    assert found.complete
    margins = {margin.resource: margin for margin in found.margins}
    assert margins["layers"].used == len(found.layers) == 5
    assert margins["layers"].free == 27
    assert margins["kernel memory"].used == sum(row.kernel_bytes for row in found.layers)
    assert margins["cycles"].used == found.cycles
    assert all(not margin.bound for margin in found.margins)


def test_the_estimate_is_that_of_the_compiler() -> None:
    from ai8xc.device import load_device
    from ai8xc.passes.estimate_cycles import estimate

    found = survey(MNIST, Options("max78000"))
    assert found.graph is not None
    whole = estimate(found.graph, load_device("max78000"))
    assert whole is not None
    assert [row.cycles for row in found.layers] == [layer.total for layer in whole.layers]


def test_weights_that_cannot_fit_are_told_without_quantising(tmp_path: Path) -> None:
    """Four 512 x 512 layers of 3x3: 9.4 million bytes."""
    nodes = [
        node("Conv", f"{a} w{i}", b, pads=[1, 1, 1, 1])
        for i, (a, b) in enumerate(("xa", "ab", "bc", "cy"))
    ]
    constants = {f"w{i}": np.full((512, 512, 3, 3), i + 1, np.float32) for i in range(4)}
    path = saved(model_of(nodes, {"x": real(1, 512, 2, 2)}, constants), tmp_path)
    assert ids(path) == {"WMEM"}
    (finding,) = survey(path, Options("max78002")).diagnostics
    assert finding.message == "the kernels take 9437184 bytes, max78002 has 2396160"


def test_equal_weights_are_counted_once(tmp_path: Path) -> None:
    """A layer that is repeated with the same weights takes their memory once."""
    names = ["x", *"abcdefg", "y"]
    nodes = [node("Conv", f"{a} w", b, pads=[1, 1, 1, 1]) for a, b in itertools.pairwise(names)]
    path = saved(model_of(nodes, {"x": real(1, 128, 2, 2)}, {"w": real(128, 128, 3, 3)}), tmp_path)
    assert survey(path, Options("max78000")).fits


def test_json_for_machines() -> None:
    result = CliRunner().invoke(cli, ["check", str(MNIST), "--format", "json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["device"], found["source"], found["fits"]) == ("max78000", "mnist.onnx", True)
    assert found["cycles"] == sum(layer["cycles"] for layer in found["layers"])
    assert {margin["resource"] for margin in found["margins"]} >= {"layers", "data memory"}
    assert set(found["layers"][0]) >= {"name", "nodes", "becomes", "in_shape", "out_shape"}


def test_text_with_margins_and_devices() -> None:
    result = CliRunner().invoke(cli, ["check", str(MNIST), "--device", "all", "--margin"])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert sum(line.startswith("kernel memory") for line in lines) == 2
    assert [line.split()[:2] for line in lines[-2:]] == [["max78000", "fits"], ["max78002", "fits"]]


def test_cures_are_numbered_in_json(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "a"), node("HardSwish", "a", "y")]
    path = saved(model_of(nodes, {"x": real(1, 4, 8, 8)}, {"w": real(4, 4, 1, 1)}), tmp_path)
    result = CliRunner().invoke(cli, ["check", str(path), "--format", "json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    cured = {found["diagnostics"][cure["diagnostic"]]["rule"] for cure in found["cures"]}
    assert cured == {d["rule"] for d in found["diagnostics"] if d["severity"] == "error"}


@pytest.mark.skipif(not LIGHT.is_dir(), reason="the package `onnx` ships no models")
def test_resnet50_is_told_by_nodes_and_kinds() -> None:
    """Every place is a node of the model; kinds of errors are shown once, with their places."""
    path = LIGHT / "light_resnet50.onnx"
    nodes = {n.name or f"{n.op_type}_{i}" for i, n in enumerate(onnx.load(path).graph.node)}
    nodes |= {f"n{i}" for i in range(len(nodes))}
    found = survey(path, Options("max78000"))
    wrong = errors(found.diagnostics)
    assert {finding.rule.id for finding in wrong} >= {"WMEM", "NET-LAYERS", "CHAN-OUT", "OUT-MEM"}
    assert all(set(finding.loc.nodes) <= nodes for finding in wrong)
    assert all(finding.cures for finding in wrong)
    result = CliRunner().invoke(cli, ["check", str(path)])
    assert result.stdout.count("error[CHAN-OUT]") == 1
    assert "`--format json` lists all" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("too large: kernel memory 30,746,880 of")
    assert "layers 88 of 32 (2.8 times)" in result.stdout


def test_bits_of_real_numbers_are_refused(tmp_path: Path) -> None:
    """Quantisation would change the bits: there is nothing that they mean."""
    nodes = [node("BitwiseOr", "x z")]
    inputs = {"x": np.ones((1, 4, 8, 8), np.int8), "z": np.ones((1, 4, 8, 8), np.int8)}
    path = saved(model_of(nodes, inputs, opset=18), tmp_path)
    assert ids(path) == {"Q010"}


def test_inputs_without_axes_beside_unknown_operators_are_told(tmp_path: Path) -> None:
    """What cannot be lowered even as an outline is a finding, too."""
    nodes = [node("Conv", "x w", "c"), node("Unknown", "c rate", "y")]
    inputs = {"x": real(1, 4, 8, 8), "rate": np.float32(16)}
    path = saved(model_of(nodes, inputs, {"w": real(4, 4, 1, 1)}), tmp_path)
    assert "NN010" in ids(path)
