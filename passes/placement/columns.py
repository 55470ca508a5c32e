"""Where kernels lie in the kernel memories, the processors of the layers being known.

Strip packing: a layer needs so many columns, from the same one on, on each of its processors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ai8xc.device import Device
from ai8xc.passes.placement.intervals import lowest_free

MEMORIES: Final = 4
"""Memories of a processor that hold the kernels of four outputs at once."""


@dataclass(frozen=True, eq=False)
class Strip:
    """The kernels of a layer: columns needed on each processor in `mask`.

    `numbers` are those of the layer and of all others that have the same kernels. `within`: all
    columns lie in one physical memory (depthwise layers, rule WMEM-DW). `quartered`: a quarter of
    the columns lies in each of the four memories, from the same place on (calcx4).
    """

    numbers: tuple[int, ...]
    mask: int
    columns: int
    within: bool = False
    quartered: bool = False

    def pieces(self, device: Device) -> Sequence[tuple[int, int]]:
        """Return the ranges of columns that it takes, from its place on."""
        if not self.quartered:
            return ((0, self.columns),)
        size, length = device.kernel_instance_columns, self.columns // MEMORIES
        return tuple((size * memory, size * memory + length) for memory in range(MEMORIES))

    def limit(self, device: Device) -> int:
        """Return where the first of these ranges ends at the latest."""
        return device.kernel_instance_columns if self.quartered else capacity(device, self.mask)


@dataclass(frozen=True)
class Columns:
    """A solution: the first column of each layer, columns in use, and columns too many.

    Quartered layers count as if all their columns lay in one memory.
    """

    of: Mapping[int, int]
    highest: int
    excess: int


def capacity(device: Device, mask: int) -> int:
    """Return the columns that all these processors have."""
    step = device.large_processor_step
    large = sum(1 << p for p in range(0, device.processors, step))
    return device.kernel_columns if mask & ~large else device.kernel_columns_large


def aligned(columns: int, device: Device) -> int:
    """Return the columns up to where the next layer on the same processors may begin."""
    step = device.kernel_alignment
    return -(-columns // step) * step


def solve(strips: Sequence[Strip], device: Device, tries: int) -> Columns:
    """Return first columns, as low as found; what does not fit is counted as excess."""
    bound = lower_bound(strips, device)
    best: Columns | None = None
    for key in _ORDERS:
        order = sorted(strips, key=key)
        for _ in range(max(1, tries)):
            found = _first_fit(order, device)
            if best is None or (found.excess, found.highest) < (best.excess, best.highest):
                best = found
            if best.excess == 0 and best.highest <= bound:
                return best
            culprit = max(order, key=lambda s: found.of[s.numbers[0]] + s.columns)
            if order[0] is culprit:
                break
            order.remove(culprit)
            order.insert(0, culprit)
    assert best is not None
    return best


_ORDERS: Sequence[Callable[[Strip], tuple[object, ...]]] = (
    lambda s: (-s.mask.bit_count(), -s.columns, s.numbers),
    lambda s: (-s.columns, s.numbers),
    lambda s: (-s.columns * s.mask.bit_count(), s.numbers),
)


def _first_fit(order: Sequence[Strip], device: Device) -> Columns:
    places: list[tuple[Strip, int]] = []
    for strip in order:
        taken = [
            interval
            for other, start in places
            if other.mask & strip.mask
            for interval in _forbidden(strip, other, start, device)
        ]
        places.append((strip, _place(strip, taken, device)))
    excess = 0
    for strip, start in places:
        first, end = strip.pieces(device)[0]
        excess += max(0, start + end - first - strip.limit(device))
    ends = [start * _step(strip) + strip.columns for strip, start in places]
    starts = {n: start * _step(s) for s, start in places for n in s.numbers}
    return Columns(starts, max(ends, default=0), excess)


def _step(strip: Strip) -> int:
    """Columns that a start counts: quartered layers count in all memories at once."""
    return MEMORIES if strip.quartered else 1


def _forbidden(strip: Strip, other: Strip, start: int, device: Device) -> Iterator[tuple[int, int]]:
    """Yield where a strip cannot lie (open intervals) when another lies at `start`."""
    for low, high in strip.pieces(device):
        for first, end in other.pieces(device):
            yield start + first - high, start + end - low


def _place(strip: Strip, taken: Sequence[tuple[int, int]], device: Device) -> int:
    step = 1 if strip.quartered else device.kernel_alignment
    start = lowest_free(0, taken, step)
    while strip.within and not _one_memory(strip, start, device):
        start = lowest_free(_next_memory(start, device), taken, step)
        if start > capacity(device, strip.mask):
            break
    return start


def _one_memory(strip: Strip, start: int, device: Device) -> bool:
    size = _memory_size(start, device)
    base = device.kernel_columns if start >= device.kernel_columns else 0
    return (start - base) // size == (start + strip.columns - 1 - base) // size


def _next_memory(start: int, device: Device) -> int:
    size = _memory_size(start, device)
    return (start // size + 1) * size


def _memory_size(column: int, device: Device) -> int:
    if column >= device.kernel_columns:
        return device.kernel_instance_columns_large
    return device.kernel_instance_columns


def lower_bound(strips: Sequence[Strip], device: Device) -> int:
    """Return columns that the fullest processor needs in any case, for these processors."""
    sums = [
        [aligned(strip.columns, device) for strip in strips if strip.mask & lowest]
        for lowest in {strip.mask & -strip.mask for strip in strips}
    ]
    slack = max((aligned(s.columns, device) - s.columns for s in strips), default=0)
    return max(map(sum, sums), default=0) - slack
