"""Weights and biases for a described network: from a checkpoint, an ONNX model or plain arrays.

Every source gives one `Parameters` for each layer that has weights, in the order of the layers.
Source: memory layout reference, section 4.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ai8xc.frontend.checkpoint import Opaque
from ai8xc.frontend.vendor_arrays import read_archive, read_sequence
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array
from ai8xc.rules.description.of_document import NET_BN, NET_CKPT_KEYS
from ai8xc.rules.description.of_sequence import BIAS_RANGE

NOT_INTEGER = declare(
    "CK005",
    "`{key}` is not quantised: it holds {value}",
    "A checkpoint is compiled from integers; quantise it first.",
)
TRUNCATED = declare(
    "CK009",
    "`{key}` holds {value}: it is cut to an integer",
    """Other entries of the checkpoint are integers, this one is not: it was not quantised, and
    little is left of it.""",
    "warning",
)
ARRAY_NAMES = declare(
    "CK006",
    "the array `{name}` in `{file}` is not used",
    """Arrays are numbered in the order of the layers that have weights: w0, w1... and b0, b1...,
    or a0, a1... with the biases in a file of their own.""",
)
UNUSED = declare(
    "CK007",
    "the entry `{key}` of the checkpoint is not used",
    """Everything in a checkpoint belongs to a layer of the network, or is skipped on purpose with
    `--skip-weights`: a layer that the description leaves out would go unnoticed.""",
)
FOREIGN = declare(
    "CK011",
    "the entry `{key}` is no tensor but asks for `{origin}`, which was not called",
    """A checkpoint is a pickle, which can name any function of Python to be called when it is
    read. Only tensors, numbers and words are read here; a file that asks for more is damaged or
    meant to do harm: take the checkpoint from where you trained it.""",
)
NO_ARCH = declare(
    "CK008",
    "the checkpoint does not say which architecture it is for",
    "The key `arch` tells; without it nothing says that the weights belong to the network.",
    "warning",
)

RAW_BITS: Final = 8
_MAX_NUMBER: Final = 32
"""No width of weights and no shift is larger."""
_TRAINING: Final = frozenset(
    {
        *("output_shift", "weight_bits", "bias_bits", "quantize_activation", "final_scale"),
        *("adjust_output_shift", "shift_quantile", "w_zero_point", "b_zero_point", "base_b_q"),
        "activation_threshold",
    }
)
"""Entries that the quantiser writes for layers of any kind, besides weight and bias."""


@dataclass(frozen=True)
class Parameters:
    """What a file says of one layer with weights.

    `weight` is M x C/groups x kernel in the orientation of the hardware, or (`framework`) in that
    of the framework, which differs for transposed convolutions. `bits` (-1: binary) and
    `output_shift` are None where the file does not say. Raw weights of test networks may need more
    bits than the layer has.
    """

    name: str
    weight: Array
    bias: Array | None = None
    bits: int | None = None
    output_shift: int | None = None
    raw: bool = False
    framework: bool = False


@dataclass
class ParameterFile:
    """All parameters of a file in stored order, what it is for, and what is wrong with it.

    `shared`: the vendor's test arrays, which networks of fewer layers take the first ones of.
    """

    source: str
    layers: list[Parameters]
    findings: list[Diagnostic]
    arch: str | None = None
    shared: bool = False


@dataclass(frozen=True)
class Skip:
    """What is left out on purpose: the first layers, and entries that match a pattern."""

    count: int = 0
    patterns: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether an entry, or the layer of this name, is left out."""
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.patterns)


NOTHING: Final = Skip()


def read_parameters(path: Path, bias: Path | None = None, skip: Skip = NOTHING) -> ParameterFile:
    """Return the parameters in a file; the suffix tells its kind. Raises `Rejected`.

    `bias` is the file of the biases for arrays without names.
    """
    found = _read(path, bias, skip)
    kept = [layer for layer in found.layers[skip.count :] if layer.name not in skip]
    return replace(found, layers=kept)


def _read(path: Path, bias: Path | None, skip: Skip) -> ParameterFile:
    kind = path.suffix.lower()
    if kind in (".npy", ".npz"):
        weights = _arrays(path, "w")
        biases = _arrays(bias, "b") if bias else []
        findings: list[Diagnostic] = []
        named = read_archive(path) if kind == ".npz" else {}
        if named:
            biases = biases or _numbered(named, "b")
            if not bias:
                findings = [*_unknown(path, named, len(weights))]
        reader = _Integers(path.name)
        layers = _joined(reader, weights, biases)
        shared = kind == ".npy" or "w0" not in named
        return ParameterFile(path.name, layers, [*findings, *reader.told()], shared=shared)
    if kind == ".onnx":
        return _from_onnx(path)
    return _from_checkpoint(path, skip)


def _arrays(path: Path, kind: str) -> list[Array]:
    """Return the arrays of a file in order; one array of a vendor's file is a stack of weights."""
    if path.suffix.lower() == ".npy":
        found = read_sequence(path)
    else:
        archive = read_archive(path)
        named = _numbered(archive, kind)
        if named:
            return named
        found = _numbered(archive, "a")
        strange = [name for name in archive if name != "sample" and name[:1] not in "ab"]
        if not found and strange:
            finding = ARRAY_NAMES.at(Loc(path.name), name=strange[0], file=path.name)
            raise Rejected([finding], unusable=True)
    return list(found[0]) if len(found) == 1 and kind == "w" else found


def _numbered(arrays: Mapping[str, Array], kind: str) -> list[Array]:
    count = next(i for i in range(len(arrays) + 1) if f"{kind}{i}" not in arrays)
    return [arrays[f"{kind}{i}"] for i in range(count)]


def _unknown(path: Path, arrays: Mapping[str, Array], count: int) -> Iterator[Diagnostic]:
    """Yield findings for arrays that belong to no layer; a sample may lie in the same file."""
    stacked = "a0" in arrays
    known = {f"{k}{i}" for k in "bw" for i in range(count)} | {"sample"}
    known |= {f"a{i}" for i in range(len(arrays))} if stacked else set()
    for name in arrays:
        if name not in known:
            yield ARRAY_NAMES.at(Loc(path.name), name=name, file=path.name)


def _joined(
    reader: _Integers, weights: Sequence[Array], biases: Sequence[Array]
) -> list[Parameters]:
    found = []
    for i, weight in enumerate(weights):
        bias = reader.bias(f"b{i}", np.asarray(biases[i]), 1) if i < len(biases) else None
        found.append(Parameters(f"w{i}", reader.integers(f"w{i}", weight), bias, raw=True))
    return found


def _from_onnx(path: Path) -> ParameterFile:
    from ai8xc.frontend.onnx_weights import read_node_weights

    reader = _Integers(path.name)
    layers = []
    for node in read_node_weights(path):
        weight = reader.integers(node.name, node.weight)
        bits = next((b for b in (2, 4, 8) if _needed_bits(weight) <= b), RAW_BITS)
        bias = None if node.bias is None else reader.bias(f"{node.name} bias", node.bias, 128)
        layers.append(Parameters(node.name, weight, bias, bits, framework=True))
    return ParameterFile(path.name, layers, reader.told())


def _from_checkpoint(path: Path, skip: Skip) -> ParameterFile:
    from ai8xc.frontend.checkpoint import read_checkpoint

    content = read_checkpoint(path)
    loc = Loc(path.name)
    missing = [key for key in ("state_dict", "epoch") if key not in content]
    state = content.get("state_dict")
    if missing or not isinstance(state, dict):
        missing = missing or ["state_dict"]
        raise Rejected([NET_CKPT_KEYS.at(loc, key=key) for key in missing], unusable=True)
    reader = _State({str(key): value for key, value in state.items()}, path.name)
    layers = list(reader.layers())
    findings = [*reader.told(), *reader.unused(skip)]
    arch = content.get("arch")
    if not isinstance(arch, str):
        findings.append(NO_ARCH.at(loc))
        return ParameterFile(path.name, layers, findings)
    return ParameterFile(path.name, layers, findings, arch)


class _Integers:
    """Turns stored numbers into integers; `findings` are about those that are none."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.findings: list[Diagnostic] = []
        self.fractions: dict[str, float] = {}
        self.integral = 0

    def told(self) -> list[Diagnostic]:
        """Return what is wrong; fractions are an error unless the file was quantised in part."""
        rule = TRUNCATED if self.integral else NOT_INTEGER
        found = [
            rule.at(Loc(self.source), key=key, value=value) for key, value in self.fractions.items()
        ]
        return [*self.findings, *found]

    def integers(self, key: str, array: Array) -> Array:
        """Return an array as integers, cut towards 0."""
        wrong = array[~np.isfinite(array)]
        if wrong.size:
            value = float(wrong[0])
            self.findings.append(NOT_INTEGER.at(Loc(self.source), key=key, value=value))
        whole = np.trunc(np.clip(np.nan_to_num(array), -(2.0**31), 2.0**31))
        fractions = array[(whole != array) & np.isfinite(array)]
        if fractions.size:
            self.fractions[key] = float(fractions[0])
        elif array.any():
            self.integral += 1
        return np.asarray(whole.astype(np.int64))

    def bias(self, key: str, stored: Array, divisor: int) -> Array:
        """Return biases in the hardware's unit."""
        scaled = np.nan_to_num(stored.astype(np.float64)) / divisor
        bias: Array = np.floor(np.clip(scaled, -(2.0**31), 2.0**31)).astype(np.int64)
        wrong = bias[(bias < -128) | (bias > 127)]
        if wrong.size:
            notes = [f"the file holds it times {divisor}"] if divisor > 1 else []
            loc = Loc(self.source)
            finding = BIAS_RANGE.at(loc, layer=key, value=int(wrong[0]), notes=notes)
            self.findings.append(finding)
        return bias


class _State(_Integers):
    """The layers of the `state_dict` of a quantised checkpoint."""

    def __init__(self, state: Mapping[str, object], source: str) -> None:
        super().__init__(source)
        self.state = state
        self.used: set[str] = set()

    def layers(self) -> Iterator[Parameters]:
        """Yield the parameters in stored order."""
        for key, weight in self.state.items():
            module, _, parameter = key.rpartition(".")
            if parameter != "weight" or not isinstance(weight, np.ndarray):
                continue
            self.used.add(key)
            if weight.ndim == 1:
                self.findings.append(NET_BN.at(Loc(self.source), name=key))
                continue
            yield self.layer(module, self.integers(key, weight))

    def layer(self, module: str, weight: Array) -> Parameters:
        """Return the parameters of `layer.operator`, or of a `layer` without operator."""
        layer = module.rpartition(".")[0] or module
        bits = self.number(f"{layer}.weight_bits") or RAW_BITS
        key = f"{module}.bias"
        stored = self.state.get(key)
        bias = None
        if isinstance(stored, np.ndarray):
            self.used.add(key)
            bias = self.bias(key, stored, 2 ** (max(1, bits) - 1))
        shift = self.number(f"{layer}.output_shift")
        return Parameters(layer, weight, bias, bits, shift, framework=True)

    def number(self, key: str) -> int | None:
        """Return a stored number."""
        value = self.state.get(key)
        if not isinstance(value, np.ndarray) or value.size != 1:
            return None
        number = float(value.reshape(-1)[0])
        if number != int(np.clip(np.nan_to_num(number), -_MAX_NUMBER, _MAX_NUMBER)):
            self.findings.append(NOT_INTEGER.at(Loc(self.source), key=key, value=number))
            return None
        return int(number)

    def unused(self, skip: Skip) -> Iterator[Diagnostic]:
        """Yield findings about entries that belong to no layer with weights."""
        for key, value in self.state.items():
            if isinstance(value, Opaque):
                yield FOREIGN.at(Loc(self.source), key=key, origin=value.origin)
                continue
            known = key in self.used or key.rpartition(".")[2] in _TRAINING
            if not known and key not in skip:
                yield UNUSED.at(Loc(self.source), key=key)


def narrowed(weight: Array, bits: int) -> Array:
    """Return raw weights in `bits` bits (-1: their signs), dropping low bits they have too many.

    The number of low bits is that of the whole tensor.
    """
    if bits == -1:
        return np.where(weight < 0, -1, 1)
    needed = _needed_bits(weight)
    return weight >> (needed - bits) if needed > bits else weight


def _needed_bits(weight: Array) -> int:
    if not weight.size:
        return 1
    low, high = int(weight.min()), int(weight.max())
    magnitudes = (abs(low + 1) if low < 0 else low, abs(high + 1) if high < 0 else high)
    return max(magnitude.bit_length() for magnitude in magnitudes) + 1
