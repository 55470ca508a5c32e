"""Integer weights and biases of one layer: rounded to nearest, or with their errors balanced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ai8xc.dialects import kernels, nn
from ai8xc.ir.types import Array
from ai8xc.numerics import BIAS_UNIT
from ai8xc.passes.quantization.layers import Weighted, biases, constant

BATCH = 32
"""Samples that are computed at once: bounds the memory for windows of convolutions."""

_LIKE_ROUNDING = 2
"""Steps by which a bias may be limited without a word: no more than what rounding does to it."""


@dataclass(frozen=True)
class Steps:
    """What the integers of one layer mean: real steps of data and weights, range of weights."""

    x: float
    weight: float
    limits: tuple[int, int]

    @property
    def accumulator(self) -> float:
        """Real value of one accumulator step."""
        return self.x * self.weight

    def round_weight(self, weight: Array) -> Array:
        """Return the nearest integer weights."""
        return np.clip(np.rint(weight.astype(np.float64) / self.weight), *self.limits)


@dataclass(frozen=True)
class Integers:
    """Integer weights and biases; `clamped` biases were far out of range."""

    weight: Array
    bias: Array
    clamped: int


@dataclass(frozen=True)
class Evidence:
    """The data of a layer on real samples: as the float model has them, and in integers."""

    real: Array
    steps: Array


def finish(weight: Array, bias: Array, steps: Steps) -> Integers:
    """Return integers for integer weights and real biases."""
    exact = np.rint(bias / (BIAS_UNIT * steps.accumulator))
    limited = np.clip(exact, -128, 127)
    clamped = int(np.count_nonzero(np.abs(exact - limited) > _LIKE_ROUNDING))
    return Integers(weight.astype(np.int8), limited.astype(np.int8), clamped)


def nearest(layer: Weighted, steps: Steps) -> Integers:
    """Return the nearest integers."""
    weight = steps.round_weight(constant(layer.weight))
    return finish(weight, biases(layer), steps)


def nearest_corrected(layer: Weighted, steps: Steps, seen: Evidence) -> Integers:
    """Return the nearest weights, and biases that keep the mean of each output channel."""
    weight = steps.round_weight(constant(layer.weight))
    wanted = channel_means(layer, seen.real, constant(layer.weight))
    got = channel_means(layer, seen.steps, weight.astype(np.int8)) * steps.accumulator
    return finish(weight, biases(layer) + wanted - got, steps)


def channel_means(layer: Weighted, x: Array, weight: Array) -> Array:
    """Return the mean of each output channel before bias and activation."""
    total = np.zeros(len(biases(layer)))
    for start in range(0, len(x), BATCH):
        acc = accumulate(layer, x[start : start + BATCH], weight)
        axes = tuple(axis for axis in range(acc.ndim) if axis != 1)
        total += acc.mean(axis=axes, dtype=np.float64) * len(acc)
    return total / len(x)


def accumulate(layer: Weighted, x: Array, weight: Array) -> Array:
    """Return the products of a layer summed up, without bias."""
    if isinstance(layer, nn.Linear):
        return np.asarray(x.astype(np.float64) @ weight.T.astype(np.float64))
    g = layer.geometry
    if isinstance(layer, nn.Conv):
        return kernels.convolve(x, weight, g.strides, g.pads, g.dilations, layer.groups)
    extra = layer.output_padding or None
    return kernels.convolve_transposed(
        x, weight, g.strides, g.pads, g.dilations, layer.groups, extra
    )
