"""The integer arithmetic of the accelerators, stated once.

Everything here works on integers exactly; arrays are int64 so that no intermediate overflows.
Source: the hardware semantics, sections 1.3, 1.4 and 1.10 (accumulate, scale, round, clamp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
Activation = Literal["none", "relu", "abs"]
Combination = Literal["add", "sub", "or", "xor"]

BIAS_UNIT: Final = 128
"""A bias of 1 adds this much to the accumulator, for every weight width and shift."""

FRACTION_BITS: Final = 7
"""Data are read as Q0.7: an accumulator is divided by 2**7 where the total shift is 0."""

SHIFT_RANGE: Final = (-15, 15)
"""Smallest and largest total shift of a layer."""


def clamp8(values: Ints) -> NDArray[np.int64]:
    """Return the values limited to -128..127."""
    return np.asarray(np.clip(values.astype(np.int64, copy=False), -128, 127))


def total_shift(output_shift: int, weight_bits: int) -> int:
    """Return the shift of a layer: the one that was asked for, and what narrow weights lack."""
    return output_shift + 8 - weight_bits


def requantize(acc: Ints, shift: int) -> NDArray[np.int64]:
    """Return `clamp8(floor(acc * 2**shift / 128 + 1/2))`: halves round towards +infinity."""
    right = FRACTION_BITS - shift
    wide = acc.astype(np.int64, copy=False)
    if right > 0:
        return clamp8((wide + (1 << (right - 1))) >> right)
    return clamp8(wide << -right)


def activate(values: Ints, activation: Activation) -> NDArray[np.int64]:
    """Return the 8-bit values after the layer's activation; `abs(-128)` is 127."""
    wide = values.astype(np.int64, copy=False)
    if activation == "relu":
        return np.asarray(np.maximum(wide, 0))
    if activation == "abs":
        return np.asarray(np.minimum(np.abs(wide), 127))
    return wide


def average(sums: Ints, count: int, *, rounding: bool = False) -> NDArray[np.int64]:
    """Return window sums divided by the window size, towards zero.

    With `rounding`, to the nearest integer, halves away from zero.
    """
    wide = sums.astype(np.int64, copy=False)
    magnitude = np.abs(wide)
    quotient = (2 * magnitude + count) // (2 * count) if rounding else magnitude // count
    return np.asarray(np.sign(wide) * quotient)


def combine(operation: Combination, operands: Sequence[Ints]) -> Ints:
    """Return the element-wise combination of 8-bit operands, clamped once at the end."""
    first, *others = (operand.astype(np.int64, copy=False) for operand in operands)
    result = first
    for other in others:
        if operation == "add":
            result = result + other
        elif operation == "sub":
            result = result - other
        elif operation == "or":
            result = result | other
        else:
            result = result ^ other
    return clamp8(result)
