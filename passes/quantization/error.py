"""What a choice of scales costs: expected squared error, relative to the power of the tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.types import INTEGER_RANGE, Array, Element
from ai8xc.numerics import BIAS_UNIT, FRACTION_BITS, SHIFT_RANGE
from ai8xc.passes.quantization.layers import Weighted, biases, constant
from ai8xc.passes.quantization.statistics import Profile

ELEMENT_OF_BITS: dict[int, Element] = {8: "i8", 4: "i4", 2: "i2", 1: "i1"}


def tensor_error(profile: Profile, scale: float) -> float:
    """Return the error of a tensor in 8-bit steps of this scale; may exceed a limit and pays."""
    steps = np.clip(np.rint(profile.raw * np.float32(1 / scale)), -128, 127)
    difference = steps * np.float32(scale) - profile.values
    return float(np.dot(difference, difference)) / difference.size / profile.power


@dataclass(frozen=True)
class LayerError:
    """The error that integer weights and biases cause in the result of one layer.

    `x` and `y` are the profiles of its input and output.
    """

    layer: Weighted
    bits: int
    x: Profile
    y: Profile

    @cached_property
    def weight(self) -> Array:
        """The real weights."""
        return constant(self.layer.weight).astype(np.float32)

    @cached_property
    def bias(self) -> Array:
        """The real biases."""
        return biases(self.layer)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer weight."""
        return INTEGER_RANGE[ELEMENT_OF_BITS[self.bits]]

    @cached_property
    def peak(self) -> float:
        """The largest magnitude of a weight, never 0."""
        return float(np.abs(self.weight).max()) or 1.0

    @cached_property
    def importance(self) -> Array:
        """Mean square of the data that each weight meets, so that it broadcasts over weights."""
        square = self.x.square.astype(np.float32)
        rank = self.weight.ndim - 2
        if isinstance(self.layer, nn.Linear):
            return square.reshape(1, -1)
        if isinstance(self.layer, nn.ConvTranspose):  # each output meets one tap in `strides`
            return square.reshape(-1, 1, *(1,) * rank) / math.prod(self.layer.geometry.strides)
        channels = self.weight.shape[0]
        by_group = square.reshape(self.layer.groups, -1)
        return np.repeat(by_group, channels // self.layer.groups, axis=0).reshape(
            channels, -1, *(1,) * rank
        )

    def at(self, x_scale: float, step: float) -> float:
        """Return the error for a real value `step` of one integer weight."""
        low, high = self.limits
        difference = np.clip(np.rint(self.weight / np.float32(step)), low, high)
        difference = difference * np.float32(step) - self.weight
        channels = len(self.bias)
        weights = float(np.sum(np.square(difference) * self.importance)) / channels
        unit = BIAS_UNIT * x_scale * step
        offsets = np.clip(np.rint(self.bias / unit), -128, 127) * unit - self.bias
        return (weights + float(np.mean(np.square(offsets)))) / self.y.power

    def best_shift(self, x_scale: float, y_scale: float) -> tuple[int, float]:
        """Return the total shift with the smallest error, and the error."""
        fit = self._fitting(x_scale, y_scale)
        tried = [(self.at(x_scale, weight_step(x_scale, y_scale, s)), s) for s in fit]
        error, shift = min(tried)
        return shift, error

    def _fitting(self, x_scale: float, y_scale: float) -> list[int]:
        """Return the shifts worth trying: from some weights limited to no bias limited."""
        unit = y_scale / x_scale * 2.0**-FRACTION_BITS
        weights = math.ceil(math.log2(self.peak / (self.limits[1] or 1) / unit))
        bias = float(np.abs(self.bias).max()) / (127 * y_scale)
        need = math.ceil(math.log2(bias)) if bias > 0 else weights
        low, high = SHIFT_RANGE
        slack = 1 if self.bits == 8 else 2
        wanted = range(weights - slack, max(weights, need) + 1)
        return sorted({min(max(shift, low), high) for shift in wanted})

    def best_step(self, x_scale: float) -> tuple[float, float]:
        """Return the step of the weights of a wide layer with the smallest error, and the error."""
        full = self.peak / (self.limits[1] or 1)
        bias = float(np.abs(self.bias).max()) / (127 * BIAS_UNIT * x_scale)
        steps = [full * 2.0 ** (-i / 8) for i in range(9 if self.bits == 8 else 17)]
        if bias > full:
            steps += [bias * 2.0 ** (-i / 4) for i in range(1 + int(4 * math.log2(bias / full)))]
        error, step = min((self.at(x_scale, step), step) for step in steps)
        return step, error


def weight_step(x_scale: float, y_scale: float, shift: int) -> float:
    """Return the real value of one integer weight, given scales of input and output."""
    return float(y_scale / x_scale * 2.0 ** (shift - FRACTION_BITS))
