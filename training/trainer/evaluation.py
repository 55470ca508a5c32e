"""How a trained network does: in real numbers, with quantisation, in the integers of the device."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from ai8xc.ir.types import Array
from ai8xc.training.data import Data, collate, save_sample
from ai8xc.training.layers import HardwareLayer, set_mode
from ai8xc.training.rules import DATA_SHAPE, refused
from ai8xc.training.trainer.runs import BEST, Run
from ai8xc.training.trainer.tasks import goal, real_outputs

_BATCH = 256


@dataclass(frozen=True)
class Measured:
    """A metric of the same network in its modes, and how often classes agree.

    `float` is the best epoch before QAT where there is one, otherwise the network without
    quantisation; `qat` is with quantisation in training, `integer` the simulation of the device.
    `agreement` is the share of samples for which `qat` and `integer` give the same class.
    """

    metric: str
    samples: int
    values: dict[str, float]
    agreement: float | None

    def record(self) -> dict[str, Any]:
        """Return the numbers for a report."""
        found: dict[str, Any] = {"metric": self.metric, "samples": self.samples}
        found |= {f"{mode}_{self.metric}": value for mode, value in self.values.items()}
        return found if self.agreement is None else {**found, "agreement": self.agreement}


def measure(run: Run, data: Data | None = None, *, checkpoint: Path | None = None) -> Measured:
    """Return how the network of a run does on the test samples."""
    data = data or run.data()
    net = run.network(checkpoint)
    before = run.folder / BEST[False]
    float_net = run.network(before) if before.is_file() else set_mode(copy.deepcopy(net), "float")
    nets = {
        "float": float_net,
        "qat": set_mode(copy.deepcopy(net), "qat"),
        "integer": set_mode(copy.deepcopy(net), "simulate"),
    }
    values: dict[str, float] = {}
    classes: dict[str, Array] = {}
    target = goal(run.config, data.info, net)
    for mode, candidate in nets.items():
        metrics = target.metrics()
        found = []
        for x, y in DataLoader(data.test, _BATCH, collate_fn=collate):
            outputs = outputs_of(candidate, x, integers=mode == "integer")
            target.update(metrics, outputs, y, x)
            if data.info.task == "classification":
                found.append(outputs.flatten(1).argmax(1).numpy())
        values[mode] = float(metrics[target.score].compute())
        if found:
            classes[mode] = np.concatenate(found)
    agreement = float((classes["qat"] == classes["integer"]).mean()) if classes else None
    return Measured(target.score, len(data.test), values, agreement)


def write_sample(data: Data, index: int, folder: Path) -> Path:
    """Write a test sample as integers, `sample_<data>.npy`; raises `Rejected` if there is none."""
    if index >= len(data.test):
        why = f"there is no test sample {index}, of {len(data.test)}"
        raise refused(DATA_SHAPE, name=data.info.name, why=why)
    path = folder / f"sample_{data.info.name.lower()}.npy"
    save_sample(path, data.test.x[index])
    return path


@torch.no_grad()
def outputs_of(net: nn.Module, x: torch.Tensor, *, integers: bool) -> Any:
    """Return the outputs for real inputs; a simulating network reads and gives integers."""
    if not integers:
        return net.eval()(x)
    outputs = net.eval()(x * 128)
    count = 1 if isinstance(outputs, torch.Tensor) else len(outputs)
    return real_outputs(outputs, wide_outputs(net, count))


def wide_outputs(net: nn.Module, count: int) -> list[bool]:
    """Return which outputs are wide: all of them where any layer is."""
    wide = any(isinstance(layer, HardwareLayer) and layer.wide for layer in net.modules())
    return [wide] * count
