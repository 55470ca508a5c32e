"""Passes and processors that a device takes for channels."""

from __future__ import annotations

from ai8xc.device import Device


def passes_of(channels: int, device: Device) -> int:
    """Return how often the processors are used for all channels of a pixel."""
    return -(-channels // device.processors)


def lanes_of(channels: int, device: Device) -> int:
    """Return the processors that so many channels take in each pass (memory.md, section 0)."""
    lanes = -(-channels // passes_of(channels, device))
    if channels <= device.processors:
        return lanes
    step = device.processors_per_memory
    return min(-(-lanes // step) * step, device.processors)
