"""Where the layouts of the memories put the data of a layer, without any search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ai8xc.checker.findings import WrongError
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.types import Array

WORD: Final = 4
"""Bytes of a word."""


def place_of(layer: ai8x.Layer) -> ai8x.Place:
    """Return the place of a layer; raises `WrongError` where it has none."""
    if layer.place is None:
        raise WrongError("it has no place")
    return layer.place


def lanes(mask: int, channels: int, what: str, device: Device) -> tuple[Array, int]:
    """Return the processor of each channel of a pass, and the passes."""
    processors = np.flatnonzero([mask >> p & 1 for p in range(device.processors)])
    passes = -(-channels // device.processors)
    wanted = -(-channels // passes)
    if passes > 1:
        wanted = min(-(-wanted // 4) * 4, device.processors)
    if len(processors) != wanted or mask >> device.processors:
        raise WrongError(f"{what} has {len(processors)} processors for {channels} channels")
    return processors, passes


def gathered(layer: ai8x.Layer, rows: Sequence[Array]) -> Array:
    """Return the labels of all operands, as the layer's meaning joins, crops and views them."""
    if layer.gather == "pixels":
        flat = [row.reshape(*row.shape[:2], -1) for row in rows]
        return np.concatenate(flat, axis=2)
    if layer.turn:
        cut = [np.split(row, row.shape[1] // layer.turn, axis=1) for row in rows]
        rows = [piece for pieces in zip(*cut, strict=True) for piece in pieces]
    joined = np.concatenate(rows, axis=1)
    joined = joined[:, :, layer.crop[0] : joined.shape[2] - layer.crop[1]]
    return joined.reshape(1, layer.in_shape[0] * layer.parts, -1)


def beyond(layer: ai8x.Layer, device: Device) -> tuple[int, int]:
    """Return words before and pixels behind the output that a widely dilated layer writes."""
    if not isinstance(layer, ai8x.Conv1d):
        return 0, 0
    length, distance = layer.kernel[0], layer.dilation[0]
    if (length - 1) * distance + 1 <= device.max_stretched_kernel_1d:
        return 0, 0
    rows = layer.in_shape[1]
    return (distance if length == 3 else 0), -(-rows // distance) * distance - layer.type.shape[2]


def skipped_lanes(place: ai8x.Place) -> int:
    """Return the processors of a memory below the first that is written to."""
    lowest = (place.output_processors & -place.output_processors).bit_length() - 1
    return lowest % 4


def passes_out(layer: ai8x.Layer, device: Device) -> int:
    """Return how often the output processors are gone through for a pixel."""
    return -(-layer.type.shape[1] // device.processors)


def is_grouped(layer: ai8x.Weighted) -> bool:
    """Whether each channel has a kernel of its own."""
    kinds = ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d
    return isinstance(layer, kinds) and layer.groups > 1
