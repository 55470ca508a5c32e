"""What a training run refuses: configurations, code, data and checkpoints."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from click.testing import CliRunner  # noqa: E402 - the libraries may be absent
from small_runs import OWN, trained, write  # noqa: E402

from ai8xc.cli.main import cli  # noqa: E402
from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.training.trainer import runs  # noqa: E402
from ai8xc.training.trainer.config import read_config  # noqa: E402

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
    "no mapping": (None, "a mapping of fields"),
    "QAT behind the end": ({"qat": {"start_epoch": 4, "weight_bits": 8}}, "qat.start_epoch"),
    "no validation": ({"data": {"name": "own.py:classes", "validation": 0}}, "data.validation"),
    "unknown strategy": ({"strategy": "dpd"}, "`strategy`"),
    "absent accelerator": ({"accelerator": "tpu"}, "`accelerator`"),
    "samples of other shape": ({"model": {"name": "watchnet"}}, "the data `classes`"),
    "outputs of other shape": ({"data": {"name": "own.py:pixels"}}, "the data `pixels`"),
    "no prior boxes": ({"data": {"name": "own.py:boxes"}}, "priors_cxcy"),
    "layer the device has not": ({"model": {"name": "bad.py:kernel"}}, "`kernel_size`: 5"),
    "code of the model fails": ({"model": {"name": "bad.py:fails"}}, "KeyError in line"),
    "code that is no Python": ({"model": {"name": "worse.py:net"}}, "SyntaxError"),
    "code of the data fails": ({"data": {"name": "bad.py:absent"}}, "its part `train`"),
    "labels beyond the classes": ({"data": {"name": "bad.py:beyond"}}, "label 5 (train)"),
    "labels that are real": ({"data": {"name": "bad.py:real"}}, "float32, not integers"),
    "values that are none": ({"data": {"name": "bad.py:nan"}}, "sample 7 (train) of `nan`"),
    "other shape than declared": ({"data": {"name": "bad.py:shape"}}, "(1, 9, 9) is declared"),
}

BAD = """
import numpy as np
from ai8xc.training import layers
from ai8xc.training.data import DataSet, Split
from own import images

def kernel(outputs, shape):
    return layers.Conv2d(1, 4, 5)

def fails(outputs, shape):
    raise KeyError("conv1")

def made(change):
    def load(root, part):
        x, y = images(64, 0)
        return Split(*change(x, y))
    return load

def beyond_load(x, y):
    y[5] = 2
    return x, y

def nan_load(x, y):
    x[7, 0, 3, 3] = np.nan
    return x, y

def absent_load(root, part):
    return open("/nowhere/at/all")

def declared(name, load, shape=(1, 8, 8)):
    return DataSet(name, shape, ("off", "on"), load)

absent = declared("absent", absent_load)
beyond = declared("beyond", made(beyond_load))
nan = declared("nan", made(nan_load))
real = declared("real", made(lambda x, y: (x, y.astype(np.float32))))
shape = declared("shape", made(lambda x, y: (x, y)), (1, 9, 9))
"""


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configurations(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, name = WRONG[case]
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    path = write(tmp_path, **(changes or {}))
    if changes is None:
        path.write_text("- epochs")
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "worse.py").write_text("def net(:")
    result = CliRunner().invoke(cli, ["train", str(path), "--quiet"])
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
    (finding,) = error.value.diagnostics
    assert finding.rule.id == "TR023"
    assert "`1.op.weight`: the checkpoint has no such entry" in finding.message


def test_weights_of_another_width(finished: runs.Run, tmp_path: Path) -> None:
    code = OWN.replace("FusedMaxPoolConv2dReLU(8, 8", "FusedMaxPoolConv2dReLU(8, 6").replace(
        "Linear(128", "Linear(96"
    )
    path = write(tmp_path, weights=str(finished.folder / "best.ckpt"))
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(Rejected, match=r"`2\.op\.weight`: the shape is \(8, 8, 3, 3\) in the"):
        runs.train(read_config(path), progress=False)


def test_damaged_weights(tmp_path: Path) -> None:
    for name in ("damaged.safetensors", "damaged.ckpt"):
        (tmp_path / name).write_bytes(b"\x00" * 100)
        with pytest.raises(Rejected, match=name):
            trained(tmp_path, weights=name)


def test_checkpoints_are_not_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path}/executed",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(Rejected, match=r"evil\.ckpt"):
        trained(tmp_path, weights="evil.ckpt")
    assert not (tmp_path / "executed").exists()
