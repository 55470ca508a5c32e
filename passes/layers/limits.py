"""Sizes that a device counts with: passes, channels, rows and columns of a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.diag import Diagnostic
from ai8xc.passes.layers import rules


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


def check_layer(layer: ai8x.Layer, device: Device) -> Iterator[Diagnostic]:
    """Yield what is too large for the device's counters (rules CHAN and DIM)."""
    channels, rows, columns = layer.in_shape
    outputs, out_rows, out_columns = layer.type.shape[1:]
    for kind, count in (("input", channels), ("output", outputs)):
        if count > device.max_channels:
            yield _too_many(layer, kind, count, device.max_channels, device)
    if isinstance(layer, ai8x.Weighted) and layer.bias is not None:
        limit = device.bias_bytes_per_group
        if outputs > limit:
            yield _too_many(layer, "biased output", outputs, limit, device)
    pad = layer.pad if isinstance(layer, ai8x.Conv2d | ai8x.Conv1d) else (0, 0)
    padded = (rows + 2 * pad[0], columns + 2 * pad[1])
    too_long = (
        max(rows, out_rows) > device.max_rows or max(columns, out_columns) > device.max_columns
    )
    over_counter = device.max_padded is not None and max(padded) > device.max_padded
    frame = rows * columns * passes_of(channels, device)
    if too_long or over_counter or frame >= device.frame_limit:
        help = f"feed at most {device.max_rows} x {device.max_columns} values, with padding"
        yield rules.SIZE.at(layer, rows=rows, columns=columns, device=device.name, help=help)


def too_many_layers(layers: Sequence[ai8x.Layer], device: Device) -> Diagnostic:
    """Return the finding about a network with more layers than the device has."""
    copies = sum(isinstance(layer, ai8x.Passthrough) for layer in layers)
    notes = (f"{copies} of them only pool, combine or copy",) if copies else ()
    over = layers[min(device.max_layers, len(layers) - 1)]
    help = f"leave out {len(layers) - device.max_layers} of them"
    return rules.LAYERS.at(
        over,
        count=len(layers),
        limit=device.max_layers,
        device=device.name,
        notes=notes,
        help=help,
    )


def _too_many(layer: ai8x.Layer, kind: str, count: int, limit: int, device: Device) -> Diagnostic:
    help = f"use up to {limit} channels"
    return rules.CHANNELS.at(
        layer, kind=kind, count=count, limit=limit, device=device.name, help=help
    )
