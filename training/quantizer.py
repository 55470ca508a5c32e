"""From trained parameters to the integers of the device, on plain arrays; torch is not needed.

`quantize_state` gives what the vendor's quantiser gives (semantics, section 5; training facts,
section 4.2), where that is right. It differs where that is not: biases are scaled like weights in
every method, and `weight_bits` always says how wide the weights are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.training import qat_rules

Array = NDArray[Any]
Floats = NDArray[np.float32]
ClipMethod = Literal["MAX", "AVGMAX", "STDDEV", "SCALE", "SEARCH"]

BIAS_UNIT: Final = 128
SHIFT_LIMIT: Final = 15
WEIGHT_BITS: Final = (1, 2, 4, 8)
SEARCHED: Final = 4
"""Shifts that `SEARCH` tries: that of the largest weight, and those for smaller ones."""


@dataclass(frozen=True)
class QuantizerOptions:
    """How parameters become integers.

    Attributes:
        clip_method: None scales by the power of two that QAT trained with. `SEARCH` chooses the
            power of two with the smallest squared error. The vendor's methods `MAX`, `AVGMAX`,
            `STDDEV` and `SCALE` multiply by a number that is made of the weights, and leave the
            shift as it is.
        scale: the factor of `SCALE`.
        stddev: how many standard deviations `STDDEV` keeps.
        weight_bits: bits of layers whose checkpoint says none.
        layer_bits: bits of single layers, by name; they count more than the checkpoint's.
    """

    clip_method: ClipMethod | None = None
    scale: float = 0.85
    stddev: float = 2.0
    weight_bits: int | None = None
    layer_bits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer."""

    name: str
    bits: int
    shift: int
    saturated: int
    snr_db: float
    """Signal-to-noise ratio of weights and biases; infinite when nothing was lost."""


@dataclass(frozen=True)
class QuantizedState:
    """The entries of a quantised network, and what became of each layer."""

    entries: dict[str, Array]
    layers: list[LayerReport]


def layer_names(state: Mapping[str, Array]) -> list[str]:
    """Return the layers that have weights, in the order of the entries."""
    return [n.removesuffix(".op.weight") for n in state if n.endswith(".op.weight")]


def quantize_state(
    state: Mapping[str, Array], options: QuantizerOptions, source: str = ""
) -> QuantizedState:
    """Return the entries of a state dict with integers in place of trained parameters.

    `state` has no batch norms (see `fold_batch_norms`). Raises `Rejected` (unusable) with every
    entry that cannot be quantised.
    """
    names = layer_names(state)
    _check(state, names, options, source)
    entries = dict(state)
    reports = []
    for name in names:
        new, report = _quantized_layer(state, name, options)
        for entry in _removed(name):
            entries.pop(entry, None)
        entries.update(new)
        reports.append(report)
    return QuantizedState(entries, reports)


def _removed(name: str) -> Iterator[str]:
    for kind in ("base_b_q", "w_zero_point", "b_zero_point"):
        yield f"{name}.{kind}"
        yield f"{name}.op.{kind}"


def _check(
    state: Mapping[str, Array], names: list[str], options: QuantizerOptions, source: str
) -> None:
    place = Loc(source)
    if not names:
        why = "it has no entry `<layer>.op.weight`"
        raise Rejected([qat_rules.NO_WEIGHTS.at(place, why=why)], unusable=True)
    findings = [
        qat_rules.NO_SUCH_PARAMETER.at(place, name=name)
        for name in options.layer_bits
        if name not in names
    ]
    for name in names:
        findings += _findings(state, name, place)
    if findings:
        raise Rejected(findings, unusable=True)


def _findings(state: Mapping[str, Array], name: str, place: Loc) -> Iterator[Diagnostic]:
    rule = qat_rules.CHECKPOINT_ENTRY
    weight = state[f"{name}.op.weight"]
    for entry in (f"{name}.op.weight", f"{name}.op.bias"):
        values = state.get(entry)
        if values is None:
            continue
        if values.dtype.kind != "f" or not values.size:
            yield rule.at(place, name=entry, why=f"{values.dtype} of shape {values.shape}")
        elif not np.isfinite(values).all():
            yield rule.at(place, name=entry, why="it holds numbers that are not finite")
    for entry in _removed(name):
        if entry.endswith("zero_point") and np.any(state.get(entry, 0)):
            yield rule.at(place, name=entry, why="the device has no zero points")
    bits = _scalar(state, f"{name}.weight_bits", 0)
    if bits not in (0, *WEIGHT_BITS):
        yield rule.at(place, name=f"{name}.weight_bits", why=f"{bits} is not 1, 2, 4 or 8")
    trained = _scalar(state, f"{name}.adjust_output_shift", 1)
    quantized = _scalar(state, f"{name}.quantize_activation", 0)
    if quantized and not trained and weight.dtype.kind == "f" and not (weight % 1).any():
        yield qat_rules.ALREADY_INTEGERS.at(place, name=name)


def _scalar(state: Mapping[str, Array], name: str, default: float) -> float:
    value = state.get(name)
    return default if value is None or not value.size else float(value.reshape(-1)[0])


def _quantized_layer(
    state: Mapping[str, Array], name: str, options: QuantizerOptions
) -> tuple[dict[str, Array], LayerReport]:
    weight = state[f"{name}.op.weight"].astype(np.float32)
    bias = state.get(f"{name}.op.bias")
    bias = None if bias is None else bias.astype(np.float32)
    stored = int(_scalar(state, f"{name}.weight_bits", 0))
    bits = options.layer_bits.get(name) or stored or options.weight_bits or 8
    parameters = weight.ravel() if bias is None else np.concatenate((weight.ravel(), bias))
    threshold = _scalar(state, f"{name}.activation_threshold", 0)
    shift = int(_scalar(state, f"{name}.output_shift", 0))
    if options.clip_method in (None, "SEARCH"):
        quantile = _scalar(state, f"{name}.shift_quantile", 1.0)
        own = weight_shift(linear_quantile(np.abs(parameters), quantile), bits)
        if options.clip_method == "SEARCH":
            own = _searched_shift(parameters, bits)
        factor = np.float32(2.0**-own)
        shift = int(np.clip(own - threshold, -SHIFT_LIMIT, SHIFT_LIMIT))
    else:
        factor = _clip_factor(weight, options)
    entries: dict[str, Array] = {
        f"{name}.op.weight": integers(weight, factor, bits),
        f"{name}.output_shift": np.array([shift], np.float32),
        f"{name}.weight_bits": np.array([bits], np.int64),
        f"{name}.adjust_output_shift": np.zeros(1, np.float32),
        f"{name}.quantize_activation": np.ones(1, np.float32),
    }
    if bias is not None:
        unit = np.float32(BIAS_UNIT * 2.0 ** (bits - 8))
        entries[f"{name}.op.bias"] = integers(bias, factor, bits) * unit
        entries[f"{name}.bias_bits"] = np.array([bits], np.float32)
    return entries, _report(name, parameters, factor, bits, shift)


def integers(values: Floats, factor: np.float32, bits: int) -> Floats:
    """Return `clamp(floor(values * factor * 2**(bits - 1) + 1/2))` to the range of `bits`."""
    levels = 1 << (bits - 1)
    rounded = np.floor(values * factor * np.float32(levels) + np.float32(0.5))
    return np.asarray(np.clip(rounded, -levels, levels - 1), np.float32)


def linear_quantile(values: Floats, quantile: float) -> np.float32:
    """Return the value at position `quantile * (n - 1)` of the sorted values, interpolated.

    The arithmetic is that of training (`torch.quantile` in float32), step by step.
    """
    ordered = np.sort(values)
    rank = np.float32(quantile) * np.float32(len(ordered) - 1)
    below = min(math.floor(rank), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    part = rank - np.float32(below)
    low, high = ordered[below], ordered[above]
    if part < 0.5:
        return np.float32(low + part * (high - low))
    return np.float32(high - (high - low) * (np.float32(1) - part))


def weight_shift(largest: np.float32, bits: int) -> int:
    """Return the shift `-clamp(floor(log2(1 / largest)))`, as training computes it."""
    inverse = np.float32(1) / max(largest, np.float32(2.0**-20))
    shift = 1 - int(np.frexp(inverse)[1])
    return min(max(shift, -SHIFT_LIMIT), SHIFT_LIMIT - (8 - bits))


def _searched_shift(parameters: Floats, bits: int) -> int:
    """Return the shift with the smallest squared error; it may saturate the largest values."""
    most = weight_shift(np.abs(parameters).max(), bits)
    tried = range(most, max(most - SEARCHED, -SHIFT_LIMIT - 1), -1)
    return min(tried, key=lambda shift: _noise(parameters, np.float32(2.0**-shift), bits))


def _noise(parameters: Floats, factor: np.float32, bits: int) -> float:
    levels = 1 << (bits - 1)
    represented = integers(parameters, factor, bits) / (factor * np.float32(levels))
    return float(np.sum(np.square(parameters - represented, dtype=np.float64)))


def _clip_factor(weight: Floats, options: QuantizerOptions) -> np.float32:
    """Return the number that one of the vendor's methods multiplies by."""
    if options.clip_method == "SCALE":
        return np.float32(options.scale)
    if options.clip_method == "AVGMAX":
        rows = weight.reshape(weight.shape[0], -1)
        lows, highs = rows.min(axis=1), rows.max(axis=1)
        return np.float32(max(abs(lows.mean(dtype=np.float64)), abs(highs.mean(dtype=np.float64))))
    low, high = weight.min(), weight.max()
    if options.clip_method == "STDDEV":
        mean = np.float32(weight.mean(dtype=np.float64))
        deviation = np.float32(weight.std(dtype=np.float64, ddof=1)) if weight.size > 1 else 0
        reach = np.float32(options.stddev) * deviation
        low, high = max(low, mean - reach), min(high, mean + reach)
    return np.float32(max(abs(low), abs(high)))


def _report(
    name: str, parameters: Floats, factor: np.float32, bits: int, shift: int
) -> LayerReport:
    levels = 1 << (bits - 1)
    exact = np.floor(parameters * factor * np.float32(levels) + np.float32(0.5))
    saturated = int(((exact < -levels) | (exact > levels - 1)).sum())
    noise = _noise(parameters, factor, bits)
    signal = float(np.sum(np.square(parameters, dtype=np.float64)))
    ratio = 10 * math.log10(signal / noise) if noise and signal else math.inf
    return LayerReport(name, bits, shift, saturated, ratio)


def fold_batch_norms(
    state: Mapping[str, Array], *, eps: float = 1e-5, divisor: int | None = None
) -> tuple[dict[str, Array], list[str]]:
    """Return the entries with batch norms folded into the operators before them, and the layers.

    `divisor` is what layers divide the result of a batch norm by: 4, or 1 in checkpoints with
    calibrated thresholds, which is the default. An operator without bias gets one. The weights of
    transposed convolutions have their output channels on axis 1; they are told by their shape.
    """
    entries = dict(state)
    calibrated = any(name.endswith("activation_threshold") for name in state)
    by = divisor or (1 if calibrated else 4)
    folded = [name for name in layer_names(state) if f"{name}.bn.running_mean" in state]
    for name in folded:
        norm = {
            key.removeprefix(f"{name}.bn."): entries.pop(key)
            for key in list(entries)
            if key.startswith(f"{name}.bn.")
        }
        weight = entries[f"{name}.op.weight"]
        mean = norm["running_mean"]
        gain = norm.get("weight", np.ones_like(mean)) / np.float32(by)
        gain = gain / np.sqrt(norm["running_var"] + np.float32(eps))
        offset = norm.get("bias", np.zeros_like(mean)) / np.float32(by)
        bias = entries.get(f"{name}.op.bias", np.zeros_like(mean))
        entries[f"{name}.op.weight"] = weight * _along_outputs(gain, weight)
        entries[f"{name}.op.bias"] = (bias - mean) * gain + offset
    return entries, folded


def _along_outputs(gain: Array, weight: Array) -> Array:
    axis = 0 if weight.shape[0] == gain.size else 1
    shape = [1] * weight.ndim
    shape[axis] = gain.size
    return gain.reshape(shape)
