"""The vendor's accepted networks as descriptions that can be changed and written anew."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import golden_corpus
import numpy as np
import yaml
from golden_options import Given

from ai8xc.cli.vendor_table import NOT_OFFERED
from ai8xc.frontend.vendor_schema import ALIASES
from ai8xc.ir.types import Array

MAX_COST = 2.0
"""Seconds that the vendor's tool took for a network that is changed here, at most."""
PARTIAL = {"--start-layer", "--stop-after", "--energy", "--synthesize-input"}
"""Options of cases that are no bases: parts of a network, and what takes long."""

Layer = dict[str, Any]


@dataclass
class Mutant:
    """A description with weights by layer (None: it has none), options and sample."""

    base: str
    device: str
    network: dict[str, Any]
    weights: list[Array | None]
    biases: list[Array | None]
    sample: Array
    flags: list[str]
    changes: list[str] = field(default_factory=list)

    @property
    def layers(self) -> list[Layer]:
        """The layers, keys under their first names."""
        found: list[Layer] = self.network["layers"]
        return found

    def write(self, random: Random, folder: Path) -> list[str]:
        """Write the files; return the arguments of `ai8xc compile`."""
        (folder / "net.yaml").write_text(self.text(random))
        arrays = [(w, b) for w, b in zip(self.weights, self.biases, strict=True) if w is not None]
        named = {f"w{i}": weight for i, (weight, _) in enumerate(arrays)}
        if any(bias is not None for _, bias in arrays):
            for i, (weight, bias) in enumerate(arrays):
                named[f"b{i}"] = np.zeros(len(weight), int) if bias is None else bias
        np.savez(folder / "w.npz", **named)
        np.save(folder / "sample.npy", self.sample)
        given = ["--weights", str(folder / "w.npz")] if arrays else []
        given += ["--sample", str(folder / "sample.npy"), "--device", self.device]
        return ["compile", str(folder / "net.yaml"), *given, *self.flags]

    def text(self, random: Random) -> str:
        """The description, its keys in any order and under any of their names."""
        lines = [f"{key}: {_word(value)}" for key, value in self.network.items() if key != "layers"]
        lines.append("layers:")
        for layer in self.layers:
            keys = list(layer)
            random.shuffle(keys)
            for at, key in enumerate(keys):
                names = [key, *(alias for alias, name in ALIASES.items() if name == key)]
                value = layer[key]
                written = _map(random, value) if "processors" in key else _word(value)
                lines.append(f"  {' ' if at else '-'} {random.choice(names)}: {written}")
        return "\n".join(lines) + "\n"


def _word(value: object) -> str:
    return json.dumps(value)


def _map(random: Random, value: object) -> str:
    """A processor map as an integer, in hexadecimal or as a string with dots."""
    if not isinstance(value, int) or value < 0:
        return _word(value)
    digits = f"{value:016x}"
    dotted = ".".join(digits[at : at + 4] for at in range(0, len(digits), 4))
    return random.choice([str(value), hex(value), f'"{digits}"', f'"0x{dotted}"'])


@cache
def bases() -> tuple[golden_corpus.Entry, ...]:
    """The accepted networks that are changed."""
    found = []
    for entry in golden_corpus.entries():
        flags = json.loads((entry.path / "case.json").read_text())["flags"]
        if entry.cost <= MAX_COST and not PARTIAL & set(flags):
            found.append(entry)
    return tuple(found)


def load(entry: golden_corpus.Entry) -> Mutant | None:
    """Return a network as it is, None where its layers are not those of its description."""
    program = golden_corpus.Program(entry.path)
    case, arrays = program.meta, program.arrays
    given = Given(entry.path, case)
    network = yaml.safe_load(given.yaml.read_text())
    layers = [{ALIASES.get(k, k): v for k, v in layer.items()} for layer in network["layers"]]
    numbered = any("sequence" in layer or "weight_source" in layer for layer in layers)
    if len(layers) != len(case["layers"]) or numbered:
        return None
    flags = list(given.flags)
    for name, (count, _) in NOT_OFFERED.items():
        if name in flags:
            del flags[flags.index(name) : flags.index(name) + 1 + count]
    weights: list[Array | None] = []
    biases: list[Array | None] = []
    for number, layer in enumerate(case["layers"]):
        stored = arrays.get(f"w_{number}")
        weights.append(None if stored is None else _shaped(stored, layer))
        biases.append(arrays.get(f"b_{number}") if layer["has_bias"] else None)
        bits = layer["weight_bits"]
        if weights[-1] is not None and bits:
            layers[number].setdefault("quantization", "bin" if bits == -1 else bits)
            shift = layer["output_shift"] or 0
            layers[number].setdefault("output_shift", shift - (8 - abs(bits)))
    network["layers"] = layers
    device = case["device"].lower()
    return Mutant(entry.id, device, network, weights, biases, given.sample, flags)


def _shaped(stored: Array, layer: Layer) -> Array:
    """Return the weights as outputs x inputs (x kernel)."""
    outputs = layer["out_channels"]
    if layer["op"] == "linear" or layer["flatten"]:
        return stored.reshape(outputs, -1)
    kernel = stored.shape[1:]
    return stored.reshape(outputs, -1, *kernel)
