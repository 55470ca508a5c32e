"""Training runs that take a second: code and configuration of the user's, written to a folder."""

from __future__ import annotations

import json
from pathlib import Path

from ai8xc.training.trainer import runs
from ai8xc.training.trainer.config import read_config

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

def narrow(outputs, shape):
    return nn.Sequential(
        nn.Identity(),
        layers.FusedMaxPoolConv2dReLU(shape[0], 4, 3, padding=1, bias=True),
        nn.Flatten(),
        layers.Linear(64, outputs, bias=True, wide=True),
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
