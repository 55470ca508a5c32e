"""The command line of a vendor vector, as options of the network's reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from golden_network import case_device, case_settings

from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_parameters import Skip


SKIPPED = {
    "tests__test-(cifar10(-bias|-bias-quant4)?|(fashion)?mnist|mnist-extrasmallnet"
    "|mnist-80expansion-q4|speechcom-net7)": "fc",
    "trained__ai85-kws20_v3-qat8-q": "[!m]*",
}
"""Checkpoints with layers that the networks compute in software, or with two copies of all."""


def skipped(name: str) -> tuple[str, ...]:
    """The entries of a checkpoint that are left out."""
    stem = name.removesuffix(".pth.tar")
    return tuple(patterns for pattern, patterns in SKIPPED.items() if re.fullmatch(pattern, stem))


def network_options(folder: Path, case: dict[str, Any]) -> tuple[Path, NetworkOptions]:
    """Return the description of a vector and what else was given with it."""
    flags = case["flags"]
    inputs = case.get("inputs") or {}
    root = next(p for p in folder.resolve().parents if (p / "inputs").is_dir())
    if "yaml" in inputs:
        yaml = root / inputs["yaml"]
        weights = root / (inputs.get("checkpoints") or inputs["weights"])
        bias = root / inputs["bias"] if "bias" in inputs else None
        with np.load(root / inputs["samples"]) as stored:
            sample = stored["a0"]
    else:
        yaml, weights, bias = folder / "net.yaml", folder / "inputs.npz", None
        with np.load(weights) as stored:
            sample = stored["sample"]
    def number(flag: str) -> int | None:
        return int(flags[flags.index(flag) + 1], 0) if flag in flags else None
    return yaml, NetworkOptions(
        case_device(case), weights, bias, sample.shape, case_settings(case) if case['status']=='ok' else NetworkOptions().settings,
        start_layer=number("--start-layer") or 0,
        stop_after=number("--stop-after"),
        input_offset=number("--input-offset"),
        output_width=number("--output-width"),
        no_bias=None if "--no-bias" in flags else frozenset(),
        ignore_activation="--ignore-activation" in flags,
        readahead="--read-ahead" in flags,
        calcx4="--calcx4" in flags,
        skip=Skip(patterns=() if "-mlp" in yaml.name else skipped(weights.name)),
        max_processors=number("--max-proc") or 64,
    )
