"""Convolutions that copy: one tap of weight 1, in the narrowest weights that hold a 1."""

from __future__ import annotations

from typing import Final

import numpy as np

from ai8xc import numerics
from ai8xc.dialects import ai8x, q
from ai8xc.ir.core import Data, Op
from ai8xc.ir.types import Array, Element

ELEMENT: Final[Element] = "i2"
OUTPUT_SHIFT: Final = numerics.FRACTION_BITS - numerics.total_shift(0, 2)
"""Makes the total shift 7, at which the accumulator is the output (clamped, which is exact)."""


def identity_weight(channels: int, window: tuple[int, ...], tap: tuple[int, ...]) -> Array:
    """Return channels x channels x window with 1 at `tap` from each channel to itself."""
    weight = np.zeros((channels, channels, *window), np.int8)
    weight.reshape(channels, channels, -1)[range(channels), range(channels), _flat(window, tap)] = 1
    return weight


def _flat(window: tuple[int, ...], tap: tuple[int, ...]) -> int:
    """Return the number of a tap in row-major order."""
    return int(np.ravel_multi_index(tap, window)) if window else 0


def q_constant(array: Array, element: Element = ELEMENT, scale: float | None = 1.0) -> q.Constant:
    """Return integer weights whose step is `scale`."""
    return q.Constant(Data(array.astype(np.int8)), element, scale)


def q_identity(
    x: Op,
    window: tuple[int, ...] = (1, 1),
    tap: tuple[int, ...] = (0, 0),
    pads: tuple[int, ...] = (),
    activation: numerics.Activation = "none",
) -> q.Conv:
    """Return a convolution that gives `x` (1 x C x H x W), shifted by tap and pads."""
    weight = q_constant(identity_weight(x.type.shape[1], window, tap))
    name = f"{x.name}_copy" if x.name else ""
    return q.Conv(
        x,
        weight,
        pads=pads,
        output_shift=OUTPUT_SHIFT,
        activation=activation,
        name=name,
        loc=x.loc,
    )


def layer_weight(channels: int) -> ai8x.Constant:
    """Return the 1x1 weights of a hardware layer that copies."""
    array = identity_weight(channels, (1, 1), (0, 0))
    return ai8x.Constant(Data(array), ELEMENT, 1.0, name="identity")
