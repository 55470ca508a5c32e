"""Training runs: from a configuration to a network whose integers are the device's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from small_runs import trained, write  # noqa: E402

from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.training.detection import Detections  # noqa: E402
from ai8xc.training.trainer import runs  # noqa: E402
from ai8xc.training.trainer.config import TrainConfig, read_config  # noqa: E402
from ai8xc.training.trainer.precision import average_precision  # noqa: E402


def weights(run: runs.Run) -> dict[str, torch.Tensor]:
    found = torch.load(run.folder / runs.LAST, weights_only=True)
    return found["state_dict"]


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


def test_a_teacher_of_another_architecture(finished: runs.Run, tmp_path: Path) -> None:
    """Overrides of the student's policy do not concern the teacher."""
    teacher = {
        "teacher": {"name": "own.py:small"},
        "weights": str(finished.folder / "qat_best.ckpt"),
    }
    policy = {"start_epoch": 1, "weight_bits": 8, "overrides": {"1": {"weight_bits": 4}}}
    code = {"model": {"name": "own.py:narrow"}, "distillation": teacher, "qat": policy}
    assert trained(tmp_path, **code, epochs=2).result["agreement"] == 1


@pytest.mark.parametrize("form", ["safetensors", "pth.tar"])
def test_weights_without_batch_norms(finished: runs.Run, form: str, tmp_path: Path) -> None:
    """Trained further in real numbers, a network whose norms are folded stays so."""
    from ai8xc.training.trainer.exporting import exported

    (tmp_path / f"weights.{form}").write_bytes(exported(finished, f"weights.{form}"))
    run = trained(tmp_path, weights=f"weights.{form}", qat=None, epochs=1)
    assert run.result["float_accuracy"] > 0.9
    assert run.network()[0].bn is None


def test_mixed_precision(tmp_path: Path) -> None:
    """The numbers of the device do not depend on it."""
    result = trained(tmp_path, precision="bf16-mixed").result
    assert result["agreement"] == 1
    assert result["integer_accuracy"] > 0.9


def test_two_processes(tmp_path: Path) -> None:
    """Gradients are shared before the batch norms are folded, and afterwards."""
    path = write(tmp_path, devices=2, strategy="ddp", epochs=3)
    command = [sys.executable, "-m", "ai8xc", "train", str(path), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("integer accuracy") == 1
    result = runs.open_run(tmp_path / "run").result
    assert result["agreement"] == 1
    assert result["checkpoint"] == "qat_best.ckpt"


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as error:
        trained(tmp_path, model={"name": "own.py:Breaks"}, qat=None)
    (finding,) = error.value.diagnostics
    assert finding.rule.id == "TR020"
    assert "epoch 0, step 3" in finding.message
    assert "`second`" in finding.message


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
