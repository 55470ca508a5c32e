"""The bytes of a layer's biases in the order in which the hardware reads them.

Source: memory description, section 2; register description, section 4.4.
"""

from __future__ import annotations

import numpy as np

from ai8xc.ir.types import Array
from ai8xc.passes.hardware.layer import HardwareLayer, bits, first_bit, last_bit, round_up


def spread_biases(layer: HardwareLayer) -> bool:
    """Whether the biases lie in every group of the layer, not in one that it chooses."""
    return layer.depthwise or layer.quad


def bias_bytes(layer: HardwareLayer) -> Array:
    """Return the bytes of an ordinary layer: outputs in order behind those that are skipped."""
    if layer.bias is None:
        return np.zeros(0, np.uint8)
    lead = layer.start_column * layer.out_passes
    if layer.slot == 0 and layer.streaming and not layer.device.has("stream-bias"):
        lead += 1
    return np.pad(layer.bias, (lead, 0)).astype(np.uint8)


def spread_bias_bytes(layer: HardwareLayer) -> dict[int, Array]:
    """Return the bytes of a depthwise or quad layer by group; empty without bias."""
    if layer.bias is None:
        return {}
    if not layer.depthwise:
        groups = layer.device.groups
        return {group: layer.bias[group::groups].astype(np.uint8) for group in range(groups)}
    return _depthwise_bytes(layer, layer.bias)


def _depthwise_bytes(layer: HardwareLayer, bias: Array) -> dict[int, Array]:
    span = layer.device.processors_per_group
    mask = _shifted_mask(layer)
    first, last = first_bit(mask), last_bit(mask)
    if layer.broadcast:
        last = round_up(last + 1, span) - 1
    if layer.broadcast or len(layer.groups_of(layer.processors)) > 1:
        first = 0
    positions = bits(mask)
    found: dict[int, list[int]] = {group: [] for group in range(layer.device.groups)}
    kept = dict.fromkeys(found, 0)
    for number in range(layer.out_passes):
        part = bias[number * layer.out_lanes : (number + 1) * layer.out_lanes]
        at = dict(zip(positions, part.tolist(), strict=False))
        for position in range(first, last + 1):
            processor = _broadcast_source(position, span) if layer.broadcast else position
            group = position // span
            found[group].append(at.get(processor, 0))
            if processor in at:
                kept[group] = len(found[group])
    highest = last // span
    found[highest] = found[highest][: kept[highest]]
    return {group: np.array(values).astype(np.uint8) for group, values in found.items() if values}


def _shifted_mask(layer: HardwareLayer) -> int:
    """Return the processors, those of the lowest group moved to its start unless broadcast."""
    mask: int = layer.processors
    if layer.broadcast:
        return mask
    span = layer.device.processors_per_group
    group = first_bit(mask) // span
    low = layer.in_group(mask, group)
    others = mask & ~(low << span * group)
    return others | low >> first_bit(low) << span * group


def _broadcast_source(position: int, span: int) -> int:
    """Return the processor whose bias stands at a position of a broadcast layer."""
    return position // span * span + position % 4 * 4 + position % span // 4
