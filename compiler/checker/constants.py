"""Kernel columns and bias bytes: who takes which, and whether two take the same."""

from __future__ import annotations

import numpy as np

from ai8xc.checker.findings import WrongError
from ai8xc.checker.layout import is_grouped, passes_out, skipped_lanes
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array


class ConstantMemories:
    """The kernel and bias memories of a device, marked as they are taken."""

    def __init__(self, device: Device) -> None:
        self.device = device
        width = max(device.kernel_columns, device.kernel_columns_large)
        self.columns: Array = np.zeros((device.processors, width), bool)
        self.biases: dict[int, list[tuple[int, int]]] = {}
        self.shared: set[object] = set()

    def take_columns(self, layer: ai8x.Weighted, place: ai8x.Place) -> None:
        """Mark the kernel columns of a layer; equal weights on equal processors may be shared."""
        start = place.kernel_start
        if start is None:
            return
        if start % self.device.kernel_alignment:
            raise WrongError(f"kernel column {start} is not a multiple of 4")
        device = self.device
        count = _kernel_columns(layer, place, device)
        passes = -(-layer.in_shape[0] // device.processors)
        taps = _taps(layer, device)
        low = start + skipped_lanes(place) * taps * passes // device.kernel_bytes_per_column
        ranges = [(low, start + count)]
        if layer.mode.calcx4:
            ranges = _quarters(layer, place, device)
        lies = (place.processors, place.output_processors, start, layer.mode.calcx4)
        key = (_content(layer.weight), *lies)
        if key in self.shared:
            return
        self.shared.add(key)
        for processor in range(self.device.processors):
            if not place.processors >> processor & 1:
                continue
            for first, end in ranges:
                self._take(processor, first, end)

    def _take(self, processor: int, first: int, end: int) -> None:
        if end > self.device.kernel_columns_of(processor):
            raise WrongError(f"kernel columns {first} to {end - 1} do not exist")
        row = self.columns[processor, first:end]
        if row.any():
            column = first + int(np.flatnonzero(row)[0])
            raise WrongError(f"kernel column {column} of processor {processor} is taken")
        row[:] = True

    def take_biases(self, layer: ai8x.Weighted, place: ai8x.Place) -> None:
        """Mark the bias bytes of a layer; equal ones at the same place may be shared."""
        if layer.bias is None or place.bias_group is None or place.bias_start is None:
            return
        group, start = place.bias_group, place.bias_start
        end = start + layer.type.shape[1] + skipped_lanes(place) * passes_out(layer, self.device)
        if layer.mode.calcx4 and start % 4:
            raise WrongError(f"biases of four outputs at once begin at byte {start}")
        key = (_content(layer.bias), group, start)
        if key in self.shared:
            return
        self.shared.add(key)
        if end > self.device.bias_bytes_per_group:
            raise WrongError(f"biases end at byte {end} of group {group}")
        for low, high in self.biases.setdefault(group, []):
            if start < high and low < end:
                raise WrongError(f"biases overlap in group {group} at byte {max(low, start)}")
        self.biases[group].append((start, end))


def _content(op: Op) -> object:
    """Return what equal constants have in common."""
    return (op.value, op.element) if isinstance(op, ai8x.Constant) else op


def _kernel_columns(layer: ai8x.Weighted, place: ai8x.Place, device: Device) -> int:
    """Return the columns that kernels occupy, skipped ones included (memory.md, section 1.6)."""
    out = place.output_processors
    skipped, turns = skipped_lanes(place), passes_out(layer, device)
    lowest = (out & -out).bit_length() - 1
    span = out.bit_length() - (lowest - skipped if turns > 1 else lowest)
    channels, bits = layer.in_shape[0], layer.weight_bits
    passes_in = -(-channels // device.processors)
    outputs = layer.type.shape[1]
    if isinstance(layer, ai8x.Linear) and layer.flatten:
        values = passes_in * layer.pooled_shape[1] * layer.pooled_shape[2]
        absent = turns * out.bit_count() - outputs
        kernels, taps = ((span + skipped) * turns - absent) * values, 1
        extra = absent if bits == 8 else 0
    else:
        taps = _taps(layer, device)
        kernels = passes_in if is_grouped(layer) else (span + skipped) * turns * passes_in
        extra = 0
    return -(-(kernels * taps * bits + 8 * extra) // 72)


def _quarters(layer: ai8x.Weighted, place: ai8x.Place, device: Device) -> list[tuple[int, int]]:
    """Return the columns of a layer that computes four outputs at once (registers.md, 11.8).

    Output o is number o // 4 in the memory o % 4; the start counts in all four at once.
    """
    out, start = place.output_processors, place.kernel_start or 0
    lowest = (out & -out).bit_length() - 1
    lanes = out.bit_count()
    if out >> lowest != (1 << lanes) - 1 or lowest % 4 or layer.type.shape[1] % lanes:
        raise WrongError("four outputs at once need adjacent processors from a multiple of four")
    if _taps(layer, device) != device.kernel_bytes_per_column or is_grouped(layer):
        raise WrongError("four outputs at once need 3x3 kernels of all channels")
    kernels = layer.type.shape[1] // 4 * -(-layer.in_shape[0] // device.processors)
    first, count = start // 4, -(-kernels * layer.weight_bits // 8)
    size = device.kernel_instance_columns
    if first + count > size:
        raise WrongError(f"kernels of every fourth output end in column {first + count} of {size}")
    return [(first + size * memory, first + size * memory + count) for memory in range(4)]


def _taps(layer: ai8x.Weighted, device: Device) -> int:
    if isinstance(layer, ai8x.Conv1d):
        reach = (layer.kernel[0] - 1) * layer.dilation[0] + 1
        return min(reach, device.max_stretched_kernel_1d)
    if isinstance(layer, ai8x.Conv2d | ai8x.ConvTranspose2d):
        return layer.kernel[0] * layer.kernel[1]
    return 1
