"""The command line of a vendor vector, as options of the network's reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from golden_network import case_device

from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_parameters import Skip
from ai8xc.ir.types import Array

SKIPPED: dict[str, tuple[str, ...]] = {
    "tests__test-(cifar10(-bias|-bias-quant4)?|(fashion)?mnist|mnist-extrasmallnet"
    "|speechcom-net7)": ("fc",),
    "tests__test-mnist-(80)?wide(-q4)?": ("fc",),
    "tests__test-mnist-80expansion-q4": ("conv[34]", "fc"),
    "trained__ai85-kws20_v3-qat8-q": ("[!m]*",),
}
"""Checkpoints with layers that the networks compute in software, or with two copies of all."""


def skipped(yaml: str, weights: str) -> tuple[str, ...]:
    """The entries of a checkpoint that are left out."""
    stem = weights.removesuffix(".pth.tar")
    if "-mlp" in yaml:
        return ()
    return next((names for pattern, names in SKIPPED.items() if re.fullmatch(pattern, stem)), ())


class Given:
    """The files and options of a vector."""

    def __init__(self, folder: Path, case: dict[str, Any]) -> None:
        self.case = case
        self.flags: list[str] = case["flags"]
        inputs = case.get("inputs") or {}
        self.bias: Path | None = None
        if "yaml" in inputs:
            root = next(p for p in folder.resolve().parents if (p / "inputs").is_dir())
            self.yaml = root / inputs["yaml"]
            self.weights = root / (inputs.get("checkpoints") or inputs["weights"])
            self.bias = root / inputs["bias"] if "bias" in inputs else None
            self.sample = _array(root / inputs["samples"], "a0")
        else:
            self.yaml, self.weights = folder / "net.yaml", folder / "inputs.npz"
            self.sample = _array(self.weights, "sample")

    def number(self, flag: str) -> int | None:
        return int(self.flags[self.flags.index(flag) + 1], 0) if flag in self.flags else None

    @property
    def options(self) -> NetworkOptions:
        """What the reader of the network is told."""
        return NetworkOptions(
            case_device(self.case),
            self.weights,
            self.bias,
            self.sample.shape,
            network={"average_rounding": True} if "--avg-pool-rounding" in self.flags else {},
            skip=Skip(patterns=skipped(self.yaml.name, self.weights.name)),
            start_layer=self.number("--start-layer") or 0,
            stop_after=self.number("--stop-after"),
            input_offset=self.number("--input-offset"),
            output_width=self.number("--output-width"),
            no_bias=None if "--no-bias" in self.flags else frozenset(),
            ignore_activation="--ignore-activation" in self.flags,
            readahead="--read-ahead" in self.flags,
            calcx4="--calcx4" in self.flags,
        )


def _array(path: Path, name: str) -> Array:
    with np.load(path) as stored:
        return np.asarray(stored[name])
