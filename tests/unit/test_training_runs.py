"""Training runs: from a configuration to a network whose integers are the device's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from click.testing import CliRunner  # noqa: E402 - the libraries may be absent

import ai8xc  # noqa: E402
from ai8xc.cli.main import cli  # noqa: E402
from ai8xc.driver import load  # noqa: E402
from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.ir.interp import run as interpret  # noqa: E402
from ai8xc.training.detection import Detections  # noqa: E402
from ai8xc.training.layers import set_mode  # noqa: E402
from ai8xc.training.trainer import runs  # noqa: E402
from ai8xc.training.trainer.config import TrainConfig, read_config  # noqa: E402
from ai8xc.training.trainer.precision import average_precision  # noqa: E402

OWN = """
import numpy as np
import torch
from torch import nn
from ai8xc.training import layers
from ai8xc.training.data import Boxes, DataSet, Split
from ai8xc.training.detection.priors import Priors

def images(count, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    x = random.uniform(0, 0.4, (count, 1, 8, 8)).astype(np.float32)
    x[labels == 1, :, 2:6, 2:6] += 0.5
    return x, labels

def load(root, part):
    x, y = images({"train": 96, "test": 32}[part], len(part))
    return Split(x, y)

def masks(root, part):
    x, _ = images({"train": 96, "test": 32}[part], len(part))
    return Split(x, (x[:, 0] > 0.45).astype(np.int64))

def levels(root, part):
    x, y = images({"train": 96, "test": 32}[part], len(part))
    return Split(x, (y[:, None] * 0.5 - 0.25).astype(np.float32))

def objects(root, part):
    x, y = images({"train": 64, "test": 16}[part], len(part))
    box = np.array([[0.25, 0.25, 0.75, 0.75]])
    return Split(x, [Boxes(box[:n], np.ones(n, int)) for n in y])

classes = DataSet("classes", (1, 8, 8), ("off", "on"), load)
pixels = DataSet("pixels", (1, 8, 8), ("off", "on"), masks, "segmentation")
values = DataSet("values", (1, 8, 8), ("level",), levels, "regression")
boxes = DataSet("boxes", (1, 8, 8), ("square",), objects, "detection")

def nan(root, part):
    x, y = images(96, 0)
    return Split(x, y)

def small(outputs, shape):
    return nn.Sequential(
        layers.FusedConv2dBNReLU(shape[0], 8, 3, padding=1, bias=True),
        nn.Dropout(0.2),
        layers.FusedMaxPoolConv2dReLU(8, 8, 3, padding=1, bias=True),
        nn.Flatten(),
        layers.Linear(128, outputs, bias=True, wide=True),
    )

def level(outputs, shape):
    return nn.Sequential(
        layers.FusedMaxPoolConv2dReLU(shape[0], 8, 3, padding=1, bias=True),
        nn.Flatten(), layers.Linear(128, 1, bias=True))

def mask(outputs, shape):
    return nn.Sequential(
        layers.FusedConv2dReLU(shape[0], 8, 3, padding=1, bias=True),
        layers.Conv2d(8, outputs, 1, bias=True))

class Detector(nn.Module):
    def __init__(self, outputs, shape):
        super().__init__()
        self.base = layers.FusedMaxPoolConv2dReLU(shape[0], 8, 3, padding=1, bias=True)
        self.loc = layers.Conv2d(8, 4, 3, padding=1, bias=True)
        self.cl = layers.Conv2d(8, outputs, 3, padding=1, bias=True)
        self.outputs = outputs
        self.register_buffer("priors_cxcy", Priors(((4, 4),), (0.5,), (1.0,)).boxes())

    def forward(self, x):
        y = self.base(x)
        rows = (self.loc(y).permute(0, 2, 3, 1), self.cl(y).permute(0, 2, 3, 1))
        return rows[0].reshape(len(x), -1, 4), rows[1].reshape(len(x), -1, self.outputs)

class Breaks(nn.Module):
    def __init__(self, outputs, shape):
        super().__init__()
        self.first = layers.Conv2d(shape[0], 4, 3, padding=1, bias=True)
        self.second = layers.Conv2d(4, 4, 3, padding=1, bias=True)
        self.fc = layers.Linear(256, outputs, bias=True, wide=True)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls > 3:
            self.second.op.weight.data.fill_(float("nan"))
        return self.fc(self.second(self.first(x)).flatten(1))
"""


def write(folder: Path, **changes: object) -> Path:
    """Write code and configuration of a small run; returns the latter's path."""
    (folder / "own.py").write_text(OWN)
    config: dict[str, object] = {
        "model": {"name": "own.py:small"},
        "data": {"name": "own.py:classes"},
        "output": "run",
        "epochs": 4,
        "batch_size": 16,
        "accelerator": "cpu",
        "optimizer": {"lr": 0.01},
        "schedule": {"kind": "MultiStepLR", "options": {"milestones": [2], "gamma": 0.5}},
        "qat": {"start_epoch": 2, "weight_bits": 8},
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps({k: v for k, v in (config | changes).items() if v is not None}))
    return path


def trained(folder: Path, **changes: object) -> runs.Run:
    return runs.train(read_config(write(folder, **changes)), progress=False)


def weights(run: runs.Run) -> dict[str, torch.Tensor]:
    found = torch.load(run.folder / runs.LAST, weights_only=True)
    return found["state_dict"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    return trained(tmp_path_factory.mktemp("finished"))


def test_a_run(finished: runs.Run) -> None:
    result = finished.result
    assert result["integer_accuracy"] > 0.9
    assert result["agreement"] == 1
    assert result["checkpoint"] == "qat_best.ckpt"
    assert (finished.folder / "best.ckpt").is_file()
    events = list((finished.folder / "tensorboard").glob("events*"))
    assert events


def test_a_run_is_repeatable_and_resumed_to_the_same_weights(
    finished: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in float training and again with quantisation, in the middle of epochs."""
    from ai8xc.training.trainer.learner import Learner

    step = Learner.training_step
    config = read_config(write(tmp_path))
    for epoch in (1, 3):

        def interrupted(self: Learner, batch: object, index: int, at: int = epoch) -> object:
            if self.current_epoch == at and index == 2:
                raise RuntimeError("the power went out")
            return step(self, batch, index)

        monkeypatch.setattr(Learner, "training_step", interrupted)
        with pytest.raises(RuntimeError, match="power"):
            runs.train(config, progress=False)
        assert not (config.output / runs.RESULT).exists()
    monkeypatch.setattr(Learner, "training_step", step)
    resumed = runs.train(config, progress=False)
    before, after = weights(finished), weights(resumed)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert resumed.result == finished.result


def test_a_finished_run_is_not_overwritten(finished: runs.Run) -> None:
    before = {p: p.read_bytes() for p in finished.folder.glob("*.*")}
    with pytest.raises(Rejected, match="finished run"):
        runs.train(finished.config, progress=False)
    assert {p: p.read_bytes() for p in finished.folder.glob("*.*")} == before


def test_an_interrupted_run_keeps_its_configuration(finished: runs.Run, tmp_path: Path) -> None:
    config = read_config(write(tmp_path, epochs=5))
    config.output.mkdir()
    for name in (runs.CONFIGURATION, runs.LAST):
        (config.output / name).write_bytes((finished.folder / name).read_bytes())
    with pytest.raises(Rejected, match="`epochs`"):
        runs.train(config, progress=False)


@pytest.mark.parametrize(
    ("model", "data", "metric"),
    [("mask", "pixels", "accuracy"), ("level", "values", "mse"), ("Detector", "boxes", "map")],
)
def test_other_tasks(model: str, data: str, metric: str, tmp_path: Path) -> None:
    run = trained(
        tmp_path, model={"name": f"own.py:{model}"}, data={"name": f"own.py:{data}"}, epochs=6
    )
    result = run.result
    assert result["metric"] == metric
    if metric == "mse":
        assert result["integer_mse"] < 0.05
        assert result["integer_mse"] == pytest.approx(result["qat_mse"], rel=1e-4)
    else:
        assert result[f"integer_{metric}"] > 0.8
        assert result[f"integer_{metric}"] == pytest.approx(result[f"qat_{metric}"], abs=1e-6)


def test_an_autoencoder(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    names = {"model": {"name": "digitsautoencoder"}, "data": {"name": "digits_autoencoder"}}
    result = trained(tmp_path, **names, epochs=3, batch_size=64).result
    assert result["integer_mse"] < 0.3
    assert result["integer_mse"] == pytest.approx(result["qat_mse"], rel=1e-4)


@pytest.mark.parametrize("relation", [False, True])
def test_distillation(finished: runs.Run, relation: bool, tmp_path: Path) -> None:
    """A student that learns from the teacher alone does what the teacher does."""
    teacher = {
        "teacher": {"name": "own.py:small"},
        "weights": str(finished.folder / "last.ckpt"),
        "student_weight": 0.0,
        "distill_weight": 1.0,
        "temperature": 2.0,
        "relation": relation,
    }
    run = trained(tmp_path, distillation=teacher, qat=None, epochs=6, schedule=None)
    assert run.result["integer_accuracy"] > 0.85


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as error:
        trained(tmp_path, model={"name": "own.py:Breaks"}, qat=None)
    (finding,) = error.value.diagnostics
    assert finding.rule.id == "TR020"
    assert "epoch 0, step 3" in finding.message
    assert "`second`" in finding.message


# What is wrong with a configuration

WRONG = {
    "unknown field": ({"epocs": 3}, "epocs"),
    "missing field": ({"output": None}, "output"),
    "wrong type": ({"epochs": "many"}, "epochs"),
    "out of range": ({"optimizer": {"lr": -1}}, "optimizer.lr"),
    "unknown choice": ({"device": "max78001"}, "device"),
    "unknown model": ({"model": {"name": "ai85net6000"}}, "ai85net6000"),
    "unknown data": ({"data": {"name": "mnist6k"}}, "mnist6k"),
    "unknown scheduler": ({"schedule": {"kind": "Stepwise"}}, "schedule.kind"),
    "wrong options": ({"schedule": {"kind": "StepLR", "options": {"x": 1}}}, "schedule.options"),
    "unknown layer": (
        {"qat": {"start_epoch": 1, "weight_bits": 8, "overrides": {"convX": {}}}},
        "convX",
    ),
    "unknown transform": (
        {"data": {"name": "own.py:classes", "transforms": [{"kind": "x"}]}},
        "data.transforms",
    ),
    "no such checkpoint": ({"weights": "absent.ckpt"}, "absent.ckpt"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configurations(case: str, tmp_path: Path) -> None:
    changes, name = WRONG[case]
    result = CliRunner().invoke(cli, ["train", str(write(tmp_path, **changes)), "--quiet"])
    assert result.exit_code == 2, result.output
    assert name in result.output
    assert not (tmp_path / "run" / runs.LAST).exists()


def test_data_out_of_range(tmp_path: Path) -> None:
    data = {"name": "own.py:classes", "transforms": [{"kind": "pad", "amount": 0}]}
    code = OWN.replace("x[labels == 1, :, 2:6, 2:6] += 0.5", "x += 3")
    path = write(tmp_path, data=data)
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(Rejected, match="the device reads"):
        runs.train(read_config(path), progress=False)


def test_weights_of_another_network(finished: runs.Run, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as error:
        trained(tmp_path, model={"name": "own.py:mask"}, weights=str(finished.folder / "last.ckpt"))
    assert error.value.diagnostics[0].rule.id == "TR023"


def test_checkpoints_are_not_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path}/executed",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(Rejected, match=r"evil\.ckpt"):
        trained(tmp_path, weights="evil.ckpt")
    assert not (tmp_path / "executed").exists()


# Evaluation and export


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


def test_unknown_formats(finished: runs.Run, tmp_path: Path) -> None:
    arguments = ["export", str(finished.folder), "-o", str(tmp_path / "net.h5")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert ".pt2" in result.output
    assert CliRunner().invoke(cli, ["export", str(tmp_path), "-o", "x.pt2"]).exit_code == 2


def test_help_imports_no_torch() -> None:
    code = """
import sys
from click.testing import CliRunner
from ai8xc.cli.main import cli
for command in ("train", "export", "evaluate"):
    assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0
assert not {"torch", "lightning"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_policies_in_files(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("start_epoch: 3\nweight_bits: 4\n")
    config = read_config(write(tmp_path, qat=None, qat_policy="policy.yaml"))
    assert isinstance(config, TrainConfig)
    assert config.qat is not None
    assert (config.qat.start_epoch, config.qat.weight_bits) == (3, 4)


# Mean average precision


def one(boxes: list, labels: list, scores: list) -> Detections:
    return Detections(
        torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels), torch.tensor(scores)
    )


def test_average_precision() -> None:
    square, other = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]
    metric = average_precision()
    truth = [torch.tensor([square, other])], [torch.tensor([1, 1])]
    metric.update([one([square, square, other], [1, 1, 1], [0.9, 0.8, 0.7])], *truth)
    # hit, miss (the object is taken), hit: precision 1 at recall 1/2, 2/3 at recall 1
    assert float(metric.compute()) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    metric.reset()
    metric.update([one([square], [2], [0.9])], *truth)
    assert float(metric.compute()) == 0
    metric.reset()
    images = [one([square], [1], [0.9]), one([square], [1], [0.8])]
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    there = torch.tensor([square]), torch.tensor([1])
    metric.update(images, [nothing[0], there[0]], [nothing[1], there[1]])
    assert float(metric.compute()) == pytest.approx(0.5)  # per image: the first is a false alarm
