"""The one module behind every layer: pool, operate, normalise, activate, quantise.

What a layer does depends on its mode (training facts, section 1.3):

* `float`: real numbers, clamped to [-1, 127/128]; batch norms are divided by 4.
* `qat`: weights and activations are multiples of a power of two; the scale of the weights follows
  from the weights themselves in every forward pass; gradients are straight-through.
* `simulate`: integers in [-128, 127] as the device computes them; `op.weight` and `op.bias` hold
  the integers that a quantised checkpoint holds.

Names of parameters and buffers are those of the vendor's checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training.layers import arithmetic, exchange, state
from ai8xc.training.layers.context import Mode, Settings
from ai8xc.training.layers.limits import WEIGHT_BITS, require

Activation = Literal["ReLU", "Abs"]
BatchNorm = Literal["Affine", "NoAffine"]
Operator = nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d

EXACT_IN_FLOAT: Final = 768
"""Products of 8-bit numbers, with a bias, whose every partial sum a float32 holds exactly:
`768 * 2**14 + 2**21 < 2**24`. Longer sums are computed in double precision."""

LARGE: Final = 1 << 15
"""Elements of a batch of images from which on its order in memory matters for the time."""


@dataclass(frozen=True)
class Quantization:
    """The bits that a constructor was asked for."""

    weight_bits: int | None = None
    bias_bits: int | None = None
    quantize_activation: bool = False

    def mode(self, settings: Settings) -> Mode:
        """Return the mode of the layer; raises `LayerError` for bits that do not fit together."""
        given = self.weight_bits is not None or self.bias_bits is not None
        require(
            given == self.quantize_activation,
            "quantize_activation",
            "weight_bits, bias_bits and quantize_activation=True come together or not at all",
        )
        if not given:
            return settings.mode
        require(self.weight_bits in WEIGHT_BITS, "weight_bits", _one_of(self.weight_bits))
        require(
            self.bias_bits == self.weight_bits,
            "bias_bits",
            f"{self.bias_bits} differs from weight_bits {self.weight_bits}: "
            "the biases of a layer have the width of its weights",
        )
        return "qat" if settings.mode == "float" else settings.mode


@dataclass(frozen=True)
class NormSettings:
    """The batch norm that a layer was declared with."""

    affine: bool
    eps: float
    momentum: float


def _one_of(bits: int | None) -> str:
    return f"{bits} is not one of {', '.join(map(str, WEIGHT_BITS))}"


class HardwareLayer(nn.Module):
    """A layer of the accelerator: optional pool, operator, batch norm and activation.

    Attributes:
        device: `max78000` or `max78002`.
        mode: `float`, `qat` or `simulate`; changed by `set_mode`.
        bits: width of weights and biases when quantised, 1, 2, 4 or 8.
        quantile: quantile of the absolute weights and biases that the output shift is made for.
        wide: the output is 32 bits wide.
        calibrated: the thresholds of the activations take part in the shift.
        exchanged: it simulates in real numbers with this shift, as other tools do; else None.
    """

    device: str
    output_shift: Tensor
    weight_bits: Tensor
    bias_bits: Tensor
    quantize_activation: Tensor
    adjust_output_shift: Tensor
    shift_quantile: Tensor

    def __init__(  # noqa: PLR0913 - the parts of a layer
        self,
        settings: Settings,
        quantization: Quantization,
        *,
        op: Operator | None = None,
        pool: nn.Module | None = None,
        activation: Activation | None = None,
        wide: bool = False,
        norm: NormSettings | None = None,
    ) -> None:
        super().__init__()
        require(
            not (wide and activation), "wide", "a wide output cannot have an activation function"
        )
        self.device = settings.device
        self.avg_pool_rounding = settings.avg_pool_rounding
        self.calibrated = False
        self.exchanged: int | None = None
        self.mode: Mode = "float"
        self.bits = quantization.weight_bits or 8
        self.quantile = 1.0
        self.wide = wide
        self.activation = activation
        self.pool = pool
        self.op = op
        self.bn: Norm | None = None
        self.declared_norm: NormSettings | None = None
        self._originals: state.Originals | None = None
        state.add_controls(self)
        if settings.shift_rule == "calibrated":
            state.add_thresholds(self)
        self.mode = quantization.mode(settings)
        state.write_controls(self)
        if norm is not None:
            self._add_batch_norm(norm)

    def _add_batch_norm(self, norm: NormSettings) -> None:
        """Declare a batch norm; only a layer in float mode has one, later it is folded."""
        self.declared_norm = norm
        require(self.op is not None and self.op.bias is not None, "bias", "batch norm needs a bias")
        if self.mode != "float":
            return
        kind = nn.BatchNorm1d if isinstance(self.op, nn.Conv1d) else nn.BatchNorm2d
        channels = cast("nn.Conv2d", self.op).out_channels
        self.bn = kind(channels, norm.eps, norm.momentum, norm.affine)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for a batch of inputs in the range of its mode."""
        if self.mode != "float" and torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self._forward(x.float())
        return self._forward(x)

    def _follow_controls(self) -> None:
        """Follow control entries that were changed in place, where reading them costs nothing."""
        if self.weight_bits.is_cpu and not torch.compiler.is_compiling():
            stored = int(self.weight_bits), float(self.shift_quantile)
            if stored != (self.bits, self.quantile):
                state.read_controls(self)

    def _forward(self, x: Tensor) -> Tensor:
        if self.mode != "float":
            self._follow_controls()
        channels_last = self.mode == "qat" and _faster_with_channels_last(x)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        if self.pool is not None:
            x = self._pooled(self.pool, x)
        if self.op is None:
            return x
        if self.mode == "float":
            return self._float(self.op, x)
        if self.mode == "qat":
            return self._trained(self.op, x, channels_last=channels_last)
        if self.exchanged is not None:
            return self._exchanged(self.op, x)
        return self._simulated(self.op, x)

    def _pooled(self, pool: nn.Module, x: Tensor) -> Tensor:
        y = cast("Tensor", pool(x))
        if isinstance(pool, nn.MaxPool1d | nn.MaxPool2d):
            return y
        if self.mode == "float":
            return y.clamp(-1.0, 127 / 128) if self.clamps else y
        if self.mode == "qat":
            return arithmetic.on_grid(y, arithmetic.AVERAGES[self.avg_pool_rounding])
        if self.exchanged is not None:
            return exchange.rounded(y)
        return (y.round() if self.avg_pool_rounding else y.trunc()).clamp(-128, 127)

    @property
    def clamps(self) -> bool:
        """Whether float outputs are clamped; with calibrated thresholds only from QAT on."""
        return not (self.calibrated and self.mode == "float")

    def _float(self, op: Operator, x: Tensor) -> Tensor:
        y = cast("Tensor", op(x))
        if self.bn is not None:
            y = self.bn(y) if self.calibrated else self.bn(y) / 4
        y = self._activated(y)
        if not self.clamps:
            return y
        limit = arithmetic.WIDE_RANGE
        return y.clamp(-limit, limit) if self.wide else y.clamp(-1.0, 127 / 128)

    def _activated(self, y: Tensor) -> Tensor:
        if self.activation == "ReLU":
            return functional.relu(y)
        return y.abs() if self.activation == "Abs" else y

    def _trained(self, op: Operator, x: Tensor, *, channels_last: bool) -> Tensor:
        factors = self.factors()
        weight = arithmetic.quantized_parameter(op.weight, factors, self.bits)
        if channels_last:
            weight = weight.to(memory_format=torch.channels_last)
        bias = op.bias
        if bias is not None:
            bias = arithmetic.quantized_parameter(bias, factors, self.bits)
        y = operate(op, x, weight, bias)
        if self.wide:
            y = arithmetic.on_grid(y, arithmetic.WIDE)
        elif self.activation == "ReLU":
            y = arithmetic.rectified(y)
        else:
            y = arithmetic.on_grid(self._activated(y), arithmetic.SIGNED)
        return self._finally_scaled(y)

    def _finally_scaled(self, y: Tensor) -> Tensor:
        """Return the output as the host scales it; only thresholds make this necessary."""
        if not self.calibrated:
            return y
        return y * arithmetic.power_of_two(self.get_buffer("final_scale"))

    def shift(self) -> Tensor:
        """Return the shift that normalises the weights, shape (1,), from their magnitude.

        No gradient flows through it: `detach` says so in exported programs, too.
        """
        op = cast("Operator", self.op)
        bias = None if op.bias is None else op.bias.detach()
        largest = arithmetic.magnitude(op.weight.detach(), bias, self.quantile)
        return arithmetic.output_shift(largest, self.bits)

    def factors(self) -> Tensor:
        """Return two powers of two, shape (2, 1): before and after rounding the parameters.

        The second one brings the layer's output to its place, so that the (much larger) output
        needs no scaling of its own. Wide outputs stay as they are: the device does not shift them.
        """
        shift = self.shift()
        after = shift
        if self.wide:
            after = torch.zeros_like(shift)
        elif self.calibrated:
            limit = arithmetic.SHIFT_LIMIT
            after = (shift - self.get_buffer("activation_threshold")).clamp(-limit, limit)
        return arithmetic.power_of_two(torch.stack((-shift, after)))

    def _simulated(self, op: Operator, x: Tensor) -> Tensor:
        """Return `clamp(round(act(floor(acc * 2**shift)) / 128))`, on integers throughout."""
        exact = torch.float64 if _summands(op) > EXACT_IN_FLOAT else torch.float32
        lacking = 8 - self.bits
        weight = op.weight.to(exact) * 2**lacking
        bias = None if op.bias is None else op.bias.to(exact) * 4**lacking
        y = operate(op, x.to(exact), weight, bias)
        if self.wide:
            limit = arithmetic.WIDE_INTEGERS
            return torch.floor(y / 2**lacking + 0.5).clamp(-limit, limit - 1)
        y = self._activated(torch.floor(y * arithmetic.power_of_two(self.output_shift)))
        return torch.floor(y / 128 + 0.5).clamp(-128, 127).to(x.dtype)

    def _exchanged(self, op: Operator, x: Tensor) -> Tensor:
        y = self._activated(operate(op, x, *exchange.parameters(self)))
        return y if self.wide else exchange.rounded(y)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the entries of any revision of the vendor's checkpoints, and of our own."""
        state.before_loading(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)
        state.after_loading(self)

    def extra_repr(self) -> str:
        """Return what tells layers of one class apart."""
        parts = [self.device, self.mode]
        if self.mode != "float":
            parts.append(f"{self.bits} bits")
        return ", ".join([*parts, *(["wide"] if self.wide else [])])


def _faster_with_channels_last(x: Tensor) -> bool:
    """Return whether images are worth another order in memory, which pools and operators gain from.

    The values are the same; only the order in which gradients are summed up differs.
    """
    if x.dim() != 4 or x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return x.numel() >= LARGE


def _summands(op: Operator) -> int:
    """Return how many products (at most) make one output."""
    if isinstance(op, nn.ConvTranspose2d):
        return op.weight.numel() // (op.weight.shape[1] * op.groups)
    return op.weight[0].numel()


def operate(op: Operator, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return what the operator computes with other parameters."""
    if isinstance(op, nn.Linear):
        return functional.linear(x, weight, bias)
    if isinstance(op, nn.ConvTranspose2d):
        apply: Callable[..., Tensor] = functional.conv_transpose2d
        return apply(x, weight, bias, op.stride, op.padding, op.output_padding, op.groups)
    apply = functional.conv2d if isinstance(op, nn.Conv2d) else functional.conv1d
    return apply(x, weight, bias, op.stride, op.padding, op.dilation, op.groups)
