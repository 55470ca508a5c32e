"""What a layer stores, in which form, and how the forms become each other.

The control entries of a checkpoint are buffers that say in which form its parameters are:

| entries                                       | parameters are                              |
|-----------------------------------------------|---------------------------------------------|
| `quantize_activation` 0                       | real numbers of float training              |
| `quantize_activation` 1, `adjust_output_shift` 1 | real numbers, quantised in each forward pass |
| `quantize_activation` 1, `adjust_output_shift` 0 | integers, with the shift of the layer       |

A layer converts what it loads to the form that its own mode needs. Source: training facts,
sections 1.6, 1.7, 1.11 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import torch
from torch import Tensor, nn

from ai8xc.training.layers import arithmetic
from ai8xc.training.layers.errors import LayerError
from ai8xc.training.layers.limits import WEIGHT_BITS

if TYPE_CHECKING:
    from ai8xc.training.layers.elementwise import Elementwise
    from ai8xc.training.layers.module import HardwareLayer

CONTROLS: Final[dict[str, torch.dtype]] = {
    "output_shift": torch.float32,
    "weight_bits": torch.int64,
    "bias_bits": torch.int64,
    "quantize_activation": torch.bool,
    "adjust_output_shift": torch.bool,
    "shift_quantile": torch.float32,
}
THRESHOLDS: Final = ("activation_threshold", "final_scale", "clamp_activation")
"""Entries of layers whose shift also follows from calibrated thresholds."""

BIAS_UNIT: Final = 128
"""A bias of 1 is stored as this, times `2**(bits - 8)`."""


@dataclass(frozen=True)
class Parameters:
    """Weights and biases in one of the forms, with the shift when they are integers."""

    weight: Tensor
    bias: Tensor | None
    shift: Tensor | None = None


@dataclass(frozen=True)
class Originals:
    """The real parameters behind the integers that a simulating layer stores."""

    real: Parameters
    integers: Parameters


def add_controls(layer: nn.Module) -> None:
    """Register the control entries, in the order of the vendor's checkpoints."""
    for name, dtype in CONTROLS.items():
        layer.register_buffer(name, torch.zeros(1, dtype=dtype))


def add_thresholds(layer: HardwareLayer | Elementwise) -> None:
    """Register the entries of calibrated thresholds."""
    layer.calibrated = True
    layer.register_buffer("activation_threshold", torch.zeros(()))
    layer.register_buffer("final_scale", torch.zeros(()))
    layer.register_buffer("clamp_activation", torch.zeros(1, dtype=torch.bool))


def _remove_thresholds(layer: HardwareLayer) -> None:
    layer.calibrated = False
    for name in THRESHOLDS:
        delattr(layer, name)


@torch.no_grad()
def write_controls(layer: HardwareLayer) -> None:
    """Make the control entries say what the layer's mode, bits and quantile are."""
    quantized = layer.mode != "float"
    layer.weight_bits.fill_(layer.bits if quantized else 0)
    layer.bias_bits.fill_(layer.bits if quantized else 0)
    layer.quantize_activation.fill_(quantized)
    layer.adjust_output_shift.fill_(layer.mode == "qat")
    layer.shift_quantile.fill_(layer.quantile)
    layer.quantile = float(layer.shift_quantile)  # as precisely as it is stored
    if layer.mode != "simulate":
        layer.output_shift.zero_()
    if layer.calibrated:
        layer.get_buffer("clamp_activation").fill_(quantized)


def read_controls(layer: HardwareLayer) -> None:
    """Take bits and quantile from the control entries; zero bits leave the layer's own."""
    bits = int(layer.weight_bits)
    if bits not in (0, *WEIGHT_BITS):
        raise LayerError("weight_bits", f"a checkpoint asks for {bits} bits; use 1, 2, 4 or 8")
    layer.bits = bits or layer.bits
    layer.quantile = float(layer.shift_quantile)
    if not 0 <= layer.quantile <= 1:
        raise LayerError("shift_quantile", f"{layer.quantile} is not between 0 and 1")


def quantized(real: Parameters, bits: int, quantile: float) -> Parameters:
    """Return real parameters as integers of a width; the bias in the form it is stored in."""
    largest = arithmetic.magnitude(real.weight, real.bias, quantile)
    shift = arithmetic.output_shift(largest, bits)
    levels = 1 << (bits - 1)
    scale = arithmetic.power_of_two(-shift) * levels

    def integers(values: Tensor) -> Tensor:
        return torch.floor(values * scale + 0.5).clamp(-levels, levels - 1)

    bias = None if real.bias is None else integers(real.bias) * (BIAS_UNIT * 2.0 ** (bits - 8))
    return Parameters(integers(real.weight), bias, shift)


def dequantized(integers: Parameters, bits: int) -> Parameters:
    """Return the real numbers that integers stand for."""
    levels = 1 << (bits - 1)
    scale = arithmetic.power_of_two(cast("Tensor", integers.shift)) / levels
    bias = integers.bias
    real_bias = None if bias is None else bias / (BIAS_UNIT * 2.0 ** (bits - 8)) * scale
    return Parameters(integers.weight * scale, real_bias)


@dataclass(frozen=True)
class BatchStatistics:
    """What a batch norm does to each channel: `(x - mean) * gain + offset`, all of shape (n,)."""

    mean: Tensor
    gain: Tensor
    offset: Tensor

    @classmethod
    def of(cls, entries: dict[str, Tensor], eps: float, divisor: int) -> BatchStatistics:
        """Return the statistics of `bn.*` entries, whose output is divided by `divisor`."""
        variance = entries["running_var"]
        weight = entries.get("weight", torch.ones_like(variance))
        offset = entries.get("bias", torch.zeros_like(variance))
        gain = weight / divisor / torch.sqrt(variance + eps)
        return cls(entries["running_mean"], gain, offset / divisor)


def folded(real: Parameters, norm: BatchStatistics, op: nn.Module) -> Parameters:
    """Return the parameters of an operator that normalises its own output.

    A transposed convolution has its output channels, by group, on axis 1 of the weights.
    """
    bias = real.bias if real.bias is not None else torch.zeros_like(norm.mean)
    bias = (bias - norm.mean) * norm.gain + norm.offset
    weight = real.weight
    if not isinstance(op, nn.ConvTranspose2d):
        gain = norm.gain.reshape(-1, *(1,) * (weight.dim() - 1))
        return Parameters(weight * gain, bias)
    rest = (1,) * (weight.dim() - 2)
    by_group = weight.reshape(op.groups, -1, *weight.shape[1:])
    gain = norm.gain.reshape(op.groups, 1, -1, *rest)
    return Parameters((by_group * gain).reshape(weight.shape), bias)


@torch.no_grad()
def fold_batch_norm(layer: HardwareLayer) -> None:
    """Fold the layer's batch norm, if it has one, into its operator."""
    if layer.bn is None or layer.op is None:
        return
    norm = BatchStatistics.of(dict(layer.bn.state_dict()), layer.bn.eps, _divisor(layer))
    result = folded(Parameters(layer.op.weight, layer.op.bias), norm, layer.op)
    _store(layer, result)
    layer.bn = None


def _divisor(layer: HardwareLayer) -> int:
    return 1 if layer.calibrated else 4


@torch.no_grad()
def become_integers(layer: HardwareLayer) -> None:
    """Replace the real parameters of a layer by integers, which it can undo."""
    if layer.op is None:
        return
    bias = None if layer.op.bias is None else layer.op.bias.clone()
    real = Parameters(layer.op.weight.clone(), bias)
    integers = _thresholded(layer, quantized(real, layer.bits, layer.quantile))
    _store(layer, integers)
    layer._originals = Originals(real, integers)


@torch.no_grad()
def become_real(layer: HardwareLayer) -> None:
    """Replace the integers of a layer by the real parameters they were made of or stand for."""
    if layer.op is None:
        return
    shift = layer.output_shift + _threshold(layer)
    real = dequantized(Parameters(layer.op.weight, layer.op.bias, shift), layer.bits)
    if layer._originals is not None and _unchanged(layer, layer._originals.integers):
        real = layer._originals.real
    _store(layer, real)
    layer._originals = None


def _store(layer: HardwareLayer, parameters: Parameters) -> None:
    op = cast("nn.Conv2d", layer.op)
    op.weight.copy_(parameters.weight)
    if op.bias is not None and parameters.bias is not None:
        op.bias.copy_(parameters.bias)
    if parameters.shift is not None:
        layer.output_shift.copy_(parameters.shift)


def _unchanged(layer: HardwareLayer, integers: Parameters) -> bool:
    op = cast("nn.Conv2d", layer.op)
    pairs = [(op.weight, integers.weight), (layer.output_shift, integers.shift)]
    pairs += [(op.bias, integers.bias)] if op.bias is not None else []
    return all(torch.equal(now, cast("Tensor", then).to(now.device)) for now, then in pairs)


def _threshold(layer: HardwareLayer) -> Tensor:
    if not layer.calibrated:
        return torch.zeros_like(layer.output_shift)
    return layer.get_buffer("activation_threshold")


def _thresholded(layer: HardwareLayer, integers: Parameters) -> Parameters:
    limit = arithmetic.SHIFT_LIMIT
    shift = (cast("Tensor", integers.shift) - _threshold(layer)).clamp(-limit, limit)
    return Parameters(integers.weight, integers.bias, shift)


@dataclass(frozen=True)
class _Entries:
    """The entries of one layer in a state dict that is being loaded."""

    all: dict[str, Any]
    prefix: str

    def get(self, name: str) -> Any:
        return self.all.get(self.prefix + name)

    def put(self, name: str, value: Tensor) -> None:
        self.all[self.prefix + name] = value

    def take(self, start: str) -> dict[str, Any]:
        """Remove and return the entries below a name."""
        full = self.prefix + start
        names = [name for name in self.all if name.startswith(full)]
        return {name.removeprefix(full): self.all.pop(name) for name in names}

    def has(self, start: str) -> bool:
        return any(name.startswith(self.prefix + start) for name in self.all)

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name)
        return default if value is None else bool(torch.as_tensor(value).any())


def before_loading(layer: HardwareLayer, state_dict: dict[str, Any], prefix: str) -> None:
    """Bring the entries of a layer to the names and the form that the layer loads."""
    entries = _Entries(state_dict, prefix)
    for name, value in entries.take("conv2d.").items():  # the name before Rev A
        entries.put(f"op.{name}", value)
    _match_revision(layer, entries)
    _match_batch_norm(layer, entries)
    _match_form(layer, entries)
    own = [*CONTROLS, *(THRESHOLDS if layer.calibrated else ())]
    for name in own:
        if entries.get(name) is None:
            entries.put(name, layer.get_buffer(name).clone())


def _match_revision(layer: HardwareLayer, entries: _Entries) -> None:
    stored = any(entries.get(name) is not None for name in THRESHOLDS)
    if stored and not layer.calibrated:
        add_thresholds(layer)
    elif layer.calibrated and not stored and entries.get("output_shift") is not None:
        _remove_thresholds(layer)


def _match_batch_norm(layer: HardwareLayer, entries: _Entries) -> None:
    """Fold stored statistics into a layer without them, drop those of a layer loaded folded."""
    weight = entries.get("op.weight")
    if layer.op is None or weight is None or layer.declared_norm is None:
        return
    if layer.bn is None and entries.has("bn.running_mean"):
        norm = BatchStatistics.of(entries.take("bn."), layer.declared_norm.eps, _divisor(layer))
        result = folded(Parameters(weight, entries.get("op.bias")), norm, layer.op)
        entries.put("op.weight", result.weight)
        entries.put("op.bias", cast("Tensor", result.bias))
    elif layer.bn is not None and not entries.has("bn."):
        layer.bn = None if entries.flag("quantize_activation", default=False) else layer.bn


def _match_form(layer: HardwareLayer, entries: _Entries) -> None:
    weight = entries.get("op.weight")
    if layer.op is None or weight is None or entries.get("quantize_activation") is None:
        return
    bits = int(entries.get("weight_bits") or 0) or layer.bits
    bias = entries.get("op.bias")
    whole = bool((weight == weight.round()).all())
    quantize = entries.flag("quantize_activation", default=False)
    adjusted = entries.flag("adjust_output_shift", default=False)
    threshold = entries.get("activation_threshold") if layer.calibrated else None
    if layer.mode == "simulate" and (adjusted or not whole):
        stored = entries.get("shift_quantile")
        quantile = layer.quantile if stored is None else float(stored)
        result = quantized(Parameters(weight, bias), bits, quantile)
        limit = arithmetic.SHIFT_LIMIT
        shift = cast("Tensor", result.shift) - (0 if threshold is None else threshold)
        entries.put("output_shift", shift.clamp(-limit, limit))
    elif layer.mode != "simulate" and quantize and not adjusted and whole:
        shift = torch.as_tensor(entries.get("output_shift"))
        shift = shift + (0 if threshold is None else threshold)
        result = dequantized(Parameters(weight, bias, shift), bits)
    else:
        return
    entries.put("op.weight", result.weight)
    if result.bias is not None:
        entries.put("op.bias", result.bias)


def after_loading(layer: HardwareLayer) -> None:
    """Follow what was loaded."""
    read_controls(layer)
    layer._originals = None
    write_controls(layer)
