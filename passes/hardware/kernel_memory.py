"""The kernel memory of all processors: which columns are taken, and where columns really go.

Logical columns are those of the byte stream; calcx4 and the quad FIFO deal them out to four
instances or processors. Source: memory description, sections 1.1, 1.7 and 1.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ai8xc.device import Device
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.kernels import Block, kernel_blocks, kernel_shape, quartered
from ai8xc.passes.hardware.layer import HardwareLayer, bits


@dataclass(frozen=True)
class Column:
    """What a layer fills on one processor: physical and logical columns, and n x 9 bytes."""

    processor: int
    columns: Array
    logical: Array
    data: Array


def stored_columns(layer: HardwareLayer, start: int) -> Iterator[Column]:
    """Yield what a layer stores when its kernels start at a column, processor by processor."""
    for block in kernel_blocks(layer):
        numbers = np.arange(block.start, block.start + block.data.shape[1])
        if layer.quad:
            yield from _dealt_to_groups(layer, start, numbers, block)
            continue
        logical = start + numbers
        columns = _dealt_to_instances(layer, start, logical) if quartered(layer) else logical
        for processor, data in zip(bits(layer.processors), block.data, strict=True):
            yield Column(processor, columns, logical, data)


def _dealt_to_groups(
    layer: HardwareLayer, start: int, numbers: Array, block: Block
) -> Iterator[Column]:
    span = layer.device.processors_per_group
    for processor, data in zip(bits(layer.source_processors), block.data, strict=True):
        for group in range(layer.device.groups):
            chosen = numbers % layer.device.groups == group
            if chosen.any():
                columns = start + numbers[chosen] // layer.device.groups
                yield Column(processor + span * group, columns, columns, data[chosen])


def _dealt_to_instances(layer: HardwareLayer, start: int, columns: Array) -> Array:
    """Return the columns of a calcx4 layer: each quarter of its outputs in its own instance.

    Source: register description, section 11.8. What reaches past the fourth instance is beyond
    the memory: the instances of large processors are not used so.
    """
    device = layer.device
    instance, rest = np.divmod(columns - start, max(kernel_shape(layer).quarter, 1))
    at = start // 4 + rest
    outside = (at >= device.kernel_instance_columns) | (instance > 3)
    found = instance * device.kernel_instance_columns + at
    return np.asarray(np.where(outside, device.kernel_columns_large, found))


class KernelMap:
    """The columns in use, one row of booleans a processor.

    `used` has the logical columns, by which the vendor's search goes; `stored` the physical ones.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.used = np.zeros((device.processors, device.kernel_columns_large), bool)
        self.stored = self.used.copy()

    def first_taken(self, processor: int, start: int, length: int) -> int | None:
        """Return the first taken column of a range, None when all are free."""
        taken = np.flatnonzero(self.used[processor, start : start + length])
        return start + int(taken[0]) if taken.size else None

    def last_taken(self, processor: int, top: int, length: int) -> int | None:
        """Return the highest taken column among `length` columns up to `top`, None when free."""
        low = max(top - length + 1, 0)
        taken = np.flatnonzero(self.used[processor, low : top + 1])
        return low + int(taken[-1]) if taken.size else None

    def accepts(self, layer: HardwareLayer, start: int) -> bool:
        """Whether the columns that a layer really fills exist and are free."""
        for column in stored_columns(layer, start):
            room = self.device.kernel_columns_of(column.processor)
            if column.columns[-1] >= room or self.stored[column.processor, column.columns].any():
                return False
        return True

    def take(self, layer: HardwareLayer, start: int) -> None:
        """Mark the columns of a layer."""
        for column in stored_columns(layer, start):
            self.stored[column.processor, column.columns] = True
            self.used[column.processor, column.logical] = True
