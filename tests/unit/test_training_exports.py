"""What becomes of a finished run: measurements, pictures, files for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from click.testing import CliRunner  # noqa: E402 - the libraries may be absent
from small_runs import trained  # noqa: E402

import ai8xc  # noqa: E402
from ai8xc.cli.main import cli  # noqa: E402
from ai8xc.driver import load  # noqa: E402
from ai8xc.ir.interp import run as interpret  # noqa: E402
from ai8xc.training.layers import set_mode  # noqa: E402
from ai8xc.training.trainer import runs  # noqa: E402


def test_evaluate(finished: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["evaluate", str(finished.folder), "--format", "json", "--save-sample", "3"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["integer_accuracy"] == finished.result["integer_accuracy"]
    assert {"float_accuracy", "qat_accuracy", "agreement", "samples"} <= record.keys()
    sample = np.load("sample_classes.npy")
    np.testing.assert_array_equal(sample, np.rint(finished.data().test.x[3] * 128))
    arguments = ["evaluate", str(finished.folder), "--save-sample", "32"]
    assert CliRunner().invoke(cli, arguments).exit_code == 2


def test_attribution(finished: runs.Run, tmp_path: Path) -> None:
    """Scores of the class are what the samples' values add up to; the square decides."""
    pytest.importorskip("captum")
    from ai8xc.training.trainer.attribution import attributions, draw

    data = finished.data()
    x = torch.stack([data.test[i][0] for i in range(8)])
    net = finished.network()
    found = attributions(net, x)
    plain = set_mode(net, "float").eval()
    with torch.no_grad():
        scores, grey = plain(x), plain(torch.zeros(1, 1, 8, 8))
    classes = scores.argmax(1)
    wanted = (scores - grey)[torch.arange(8), classes]
    torch.testing.assert_close(found.sum((1, 2, 3)).float(), wanted, rtol=0.15, atol=0.15)
    on = found[classes == 1].abs().mean((0, 1))
    assert on[2:6, 2:6].mean() > 2 * on[[0, 7]].mean()
    draw(finished, data, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def export(run: runs.Run, path: Path) -> None:
    result = CliRunner().invoke(cli, ["export", str(run.folder), "-o", str(path)])
    assert result.exit_code == 0, result.output


def test_exports_have_the_same_integers(finished: runs.Run, tmp_path: Path) -> None:
    export(finished, tmp_path / "net.pt2")
    export(finished, tmp_path / "test.npz")
    arrays = np.load(tmp_path / "test.npz")
    integers = arrays["x"] * 128
    np.testing.assert_array_equal(integers, np.rint(integers))
    graph = load(tmp_path / "net.pt2")
    found = interpret(graph, {graph.inputs[0].name: integers.astype(np.int8)})[0]
    net = set_mode(finished.network(), "simulate")
    with torch.no_grad():
        wanted = net(torch.from_numpy(integers)).numpy()
    np.testing.assert_array_equal(found, wanted)
    accuracy = (found.argmax(1) == arrays["y"]).mean()
    assert accuracy == finished.result["integer_accuracy"]


def test_vendor_checkpoints(finished: runs.Run, tmp_path: Path) -> None:
    export(finished, tmp_path / "net.pth.tar")
    found = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    net = set_mode(finished.network(), "simulate")
    for name, value in net.state_dict().items():
        assert torch.equal(found["state_dict"][name], value)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_descriptions_for_the_vendors_tool(finished: runs.Run, device: str, tmp_path: Path) -> None:
    """YAML and checkpoint lead to the same registers and memories as the network itself.

    Kernels lie where the vendor's tool puts them: no description says where.
    """
    run = finished
    if device != finished.config.device:
        run = trained(tmp_path, device=device, epochs=2, qat={"start_epoch": 1, "weight_bits": 4})
    export(run, tmp_path / "net.yaml")
    export(run, tmp_path / "net.pt2")
    x = run.data().test.x[0]
    kinds = ["registers", "yaml"]
    direct = ai8xc.compile(tmp_path / "net.pt2", device, sample=x, emit=kinds)
    described = ai8xc.compile(
        tmp_path / "net.yaml",
        device,
        sample=x,
        emit=["registers"],
        weights=tmp_path / "net.pth.tar",
    )
    for name in ("registers.json", "memory.npz"):
        assert direct.files[name] == described.files[name]
    checkpoint = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    integers = set_mode(run.network(), "simulate").state_dict()
    assert torch.equal(checkpoint["state_dict"]["layer0.op.weight"], integers["0.op.weight"])


def test_onnx_and_safetensors(finished: runs.Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    export(finished, tmp_path / "net.onnx")
    data = finished.data()
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (found,) = session.run(None, {"input": data.test.x[:1]})
    with torch.no_grad():
        wanted = set_mode(finished.network(), "float").eval()(torch.from_numpy(data.test.x[:1]))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
    export(finished, tmp_path / "net.safetensors")
    from safetensors.torch import load_file

    state = load_file(tmp_path / "net.safetensors")
    assert state.keys() == finished.network().state_dict().keys()


def test_checkpoints_of_a_run_are_quantised(finished: runs.Run, tmp_path: Path) -> None:
    """By names of the network, without what only training needs; as the simulation has it."""
    output = tmp_path / "q.pth.tar"
    arguments = ["quantize", str(finished.best()), "-o", str(output), "--format", "json"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in json.loads(result.stdout)["layers"]] == ["0", "2", "4"]
    found = torch.load(output, weights_only=True)
    assert found.keys() == {"epoch", "arch", "state_dict", "extras"}
    assert found["arch"] == "small"
    wanted = set_mode(finished.network(), "simulate").state_dict()
    assert found["state_dict"].keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found["state_dict"][name].to(value.dtype), value)


def test_unknown_formats(finished: runs.Run, tmp_path: Path) -> None:
    arguments = ["export", str(finished.folder), "-o", str(tmp_path / "net.h5")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert ".pt2" in result.output
    assert "`.yaml`" in result.output
    nowhere = ["export", str(finished.folder), "-o", str(tmp_path / "absent/net.safetensors")]
    assert "`absent` cannot be written" in CliRunner().invoke(cli, nowhere).output
    assert CliRunner().invoke(cli, ["export", str(tmp_path), "-o", "x.pt2"]).exit_code == 2
