"""The bias memory image of a network: the used part of each group's memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ai8xc.dialects import reg
from ai8xc.ir.core import Data
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.biases import bias_bytes, spread_bias_bytes, spread_biases
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork


def bias_image(network: HardwareNetwork) -> Iterator[reg.Biases]:
    """Yield the bytes of each group that has biases; unused bytes between them are 0."""
    for group in range(network.device.groups):
        parts = [
            (start, values)
            for layer in network.by_slot
            for start, values in _parts(layer, group)
            if len(values)
        ]
        if not parts:
            continue
        image = np.zeros(max(start + len(values) for start, values in parts), np.uint8)
        for start, values in parts:
            image[start : start + len(values)] = values
        yield reg.Biases(group, Data(image))


def _parts(layer: HardwareLayer, group: int) -> Iterator[tuple[int, Array]]:
    if layer.bias is None:
        return
    place = layer.place
    if spread_biases(layer):
        start = place.bias_starts[group]
        if start is not None:  # bytes of a group that the layer does not use are zeros
            yield start, spread_bias_bytes(layer).get(group, np.zeros(0, np.uint8))
    elif place.bias_group == group:
        yield (place.bias_start or 0), bias_bytes(layer)
