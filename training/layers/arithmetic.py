"""The element functions of quantisation-aware training and of the simulation.

Rounding is `floor(v + 1/2)` throughout, as in `ai8xc.numerics`; gradients are straight-through:
rounding has derivative 1, clamping 1 within the (inclusive) bounds of the rounded value and 0
outside. Source: training facts, section 1.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

Rounding = Literal["up", "zero", "even"]

SHIFT_LIMIT: Final = 15
ACTIVATION_STEPS: Final = 128
"""Activations are multiples of 1/128."""
WIDE_STEPS: Final = 1 << 14
"""Wide outputs are multiples of 2**-14 in training: products of two multiples of 1/128."""
WIDE_RANGE: Final = 32768
WIDE_INTEGERS: Final = 1 << 29


def _below(value: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))


def _above(value: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(np.inf)))


@dataclass(frozen=True)
class Grid:
    """Multiples of 1/steps between low/steps and high/steps, and how a real value gets there.

    `bounds` are the float32 values between which (exclusively) rounding ends within the grid.
    """

    steps: int
    low: int
    high: int
    rounding: Rounding
    bounds: tuple[float, float]

    @classmethod
    def of(cls, steps: int, low: int, high: int, rounding: Rounding = "up") -> Grid:
        """Return the grid with its bounds."""
        return cls(steps, low, high, rounding, _bounds(steps, low, high, rounding))


def _bounds(steps: int, low: int, high: int, rounding: Rounding) -> tuple[float, float]:
    if rounding == "zero":
        return (low - 1) / steps, (high + 1) / steps
    below, above = (low - 0.5) / steps, (high + 0.5) / steps
    if rounding == "up":
        return _below(below), above
    lowest = _below(below) if low % 2 == 0 else below
    return lowest, _above(above) if high % 2 == 0 else above


SIGNED: Final = Grid.of(ACTIVATION_STEPS, -128, 127)
RECTIFIED: Final = Grid.of(ACTIVATION_STEPS, 0, 127)
WIDE: Final = Grid.of(WIDE_STEPS, -WIDE_RANGE * WIDE_STEPS, WIDE_RANGE * WIDE_STEPS)
AVERAGES: Final = {
    False: Grid.of(ACTIVATION_STEPS, -128, 127, "zero"),
    True: Grid.of(ACTIVATION_STEPS, -128, 127, "even"),
}


def _rounded(x: Tensor, grid: Grid) -> Tensor:
    """Return new values on the grid; one buffer, changed in place."""
    if grid.rounding == "up":
        y = torch.add(x.new_full((), 0.5), x, alpha=grid.steps).floor_()
    else:
        y = x * grid.steps
        y = y.trunc_() if grid.rounding == "zero" else y.round_()
    return y.clamp_(grid.low, grid.high).mul_(1 / grid.steps)


def _applied(function: type[torch.autograd.Function], *arguments: object) -> Tensor:
    result: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call] # torch has no type
    return result


class _OnGrid(torch.autograd.Function):
    """Values on a grid, with the straight-through gradient in a single pass."""

    @staticmethod
    def forward(x: Tensor, grid: Grid, exclusive: tuple[float, float]) -> Tensor:
        return _rounded(x, grid)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, _, ctx.exclusive = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.exclusive
        return torch.ops.aten.hardtanh_backward(grads[0], x, low, high), None, None


def on_grid(x: Tensor, grid: Grid) -> Tensor:
    """Return the values rounded to a grid and clamped to it."""
    return _applied(_OnGrid, x, grid, grid.bounds)


def rectified(x: Tensor) -> Tensor:
    """Return ReLU and 8-bit quantisation in one: no gradient where `x <= 0`."""
    return _applied(_OnGrid, x, RECTIFIED, (0.0, RECTIFIED.bounds[1]))


class _Parameter(torch.autograd.Function):
    """A weight or bias at its width, normalised by one power of two and scaled by another."""

    @staticmethod
    def forward(v: Tensor, factors: Tensor, levels: int) -> Tensor:
        steps = torch.addcmul(v.new_full((), 0.5), v, factors[0] * levels).floor_()
        return steps.clamp_(-levels, levels - 1).mul_(factors[1] / levels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, factors, ctx.levels = inputs
        ctx.save_for_backward(v, factors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        v, factors = ctx.saved_tensors
        steps = torch.addcmul(v.new_full((), 0.5), v, factors[0] * ctx.levels).floor_()
        inside = (steps >= -ctx.levels) & (steps < ctx.levels)
        return grads[0] * inside * (factors[0] * factors[1]), None, None


def quantized_parameter(v: Tensor, factors: Tensor, bits: int) -> Tensor:
    """Return weights or biases as `bits` wide integers with the layer's power-of-two scale.

    `factors` holds two powers of two: the values are multiplied by the first, rounded to multiples
    of `2**(1 - bits)` in [-1, 1), and multiplied by the second. Saturated values get no gradient.
    """
    return _applied(_Parameter, v, factors, 1 << (bits - 1))


def magnitude(weight: Tensor, bias: Tensor | None, quantile: float) -> Tensor:
    """Return the linear quantile of the absolute weights and biases, as a scalar."""
    if quantile >= 1:
        most = weight.abs().amax()
        return most if bias is None else torch.maximum(most, bias.abs().amax())
    values = weight.flatten() if bias is None else torch.cat((weight.flatten(), bias.flatten()))
    return linear_quantile(values.abs(), quantile)


def linear_quantile(values: Tensor, quantile: float) -> Tensor:
    """Return the value at position `quantile * (n - 1)` of the sorted values, interpolated.

    Equal to `torch.quantile` (and to numpy's default); only the largest values are sorted.
    """
    rank = float(np.float32(quantile) * np.float32(values.numel() - 1))  # torch's own precision
    below = math.floor(rank)
    top = torch.topk(values, values.numel() - below).values
    low, high = top[-1], top[-1 if top.numel() == 1 else -2]
    return torch.lerp(low, high, rank - below)


def output_shift(largest: Tensor, bits: int) -> Tensor:
    """Return the shift `-clamp(floor(log2(1 / largest)), -15, 15)` of a layer, shape (1,).

    The exponent is read off the float itself, so it is the same on every machine. Narrow weights
    lack `8 - bits`, which the device adds to the shift and which has to stay in the same range.
    """
    inverse = largest.clamp(min=2.0**-20).reciprocal()
    shift = 1 - torch.frexp(inverse).exponent
    most = SHIFT_LIMIT - (8 - bits)
    return shift.clamp(-SHIFT_LIMIT, most).to(largest.dtype).reshape(1)


def power_of_two(exponent: Tensor) -> Tensor:
    """Return exactly `2**exponent` for whole exponents."""
    return torch.ldexp(torch.ones_like(exponent), exponent.to(torch.int32))
