"""What the user lists to be copied in place of the outputs: where it lies, and what it holds.

Source: memory description, section 3.7; hardware semantics, section 3.2 (`unload`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ai8xc.backends.ai8x.data_layout import LANES, output_words
from ai8xc.device import Device
from ai8xc.dialects import reg
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Data, Op, Word
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.layer import HardwareLayer

ALL_BITS: Final = 0xFFFF_FFFF

OUTSIDE = declare(
    "UNLOAD-MEM",
    "entry {number} of `unload` ends at byte {end} of the data memories",
    """An entry is read from `offset` on, in every memory that its processors share; the data
    memories of a device have so many bytes.""",
)
NOT_WRITTEN = declare(
    "UNLOAD-EMPTY",
    "entry {number} of `unload` reads memory that no layer writes, first that of processor "
    "{processor}, byte {byte}",
    """Processors, channels, dim, offset, width and gap of an entry are those of the layer whose
    data it copies. What nothing has written is left from whatever ran before.""",
    "warning",
)


@dataclass
class Memories:
    """Words of the data memories behind a run, as far as they are known, and which bits are."""

    device: Device
    words: Array = field(init=False)
    known: Array = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.device.memories, self.device.data_memory_bytes // LANES)
        self.words, self.known = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)

    def load(self, op: reg.Load) -> None:
        """Write a block of the network's input."""
        number = op.group * (self.device.processors_per_group // LANES) + op.memory
        end = op.word + len(op.data.array)
        self.words[number, op.word : end] = op.data.array
        self.known[number, op.word : end] = ALL_BITS

    def write(self, layer: HardwareLayer, value: Array) -> None:
        """Write what a layer gives, C x H x W."""
        for memory, mask, at, values in output_words(layer, value):
            self.words[memory, at] = self.words[memory, at] & np.uint32(~mask & ALL_BITS) | values
            self.known[memory, at] |= np.uint32(mask)


def behind(
    device: Device, loads: Iterable[reg.Load], outputs: Iterable[tuple[HardwareLayer, Array]]
) -> Memories:
    """Return the memories behind a run: input, then all layers with their values, in order.

    The rolling buffers of streaming layers are left out.
    """
    memories, written = Memories(device), list(outputs)
    for op in loads:
        memories.load(op)
    rolls = [*(layer.streaming for layer, _ in written[1:]), False]
    for (layer, value), rolling in zip(written, rolls, strict=True):
        if not rolling:
            memories.write(layer, value)
    return memories


def unload_ops(settings: Settings, memories: Memories | None) -> Iterator[Op]:
    """Yield what is copied for each entry, and the words that are read for it where known."""
    for order, entry in enumerate(settings.unload):
        processors, channels, rows, columns, offset, gap, bits = entry
        unload = reg.Unload(
            processors,
            *(channels, rows, columns),
            offset=offset,
            gap=gap,
            wide=bits > 8,
            output=f"unload_{order}",
            name=f"unload.{order}",
        )
        yield unload
        if memories is not None:
            yield from _image(unload, memories)


def unload_findings(
    unloads: Iterable[reg.Unload], device: Device, memories: Memories | None
) -> Iterator[Diagnostic]:
    """Yield entries that lie outside the memories, or where nothing is written."""
    for order, unload in enumerate(unloads):
        memory, words, lanes = unload.places
        end = LANES * (int(words.max()) + 1)
        if end > device.data_memory_bytes:
            limit = f"{device.name}: {device.data_memory_bytes} bytes in each memory"
            yield OUTSIDE.at(UNKNOWN, number=order, end=end, notes=[limit])
            continue
        if memories is None:
            continue
        mask = np.uint32(ALL_BITS) if unload.wide else np.uint32(255) << (8 * lanes).astype("u4")
        missing = np.argwhere(memories.known[memory, words] & mask != mask)
        if len(missing):
            at = tuple(missing[0])
            processor, byte = LANES * memory[at] + lanes[at], LANES * words[at]
            yield NOT_WRITTEN.at(UNKNOWN, number=order, processor=processor, byte=byte)


def _image(unload: reg.Unload, memories: Memories) -> Iterator[reg.Expect]:
    """Yield the words that an entry reads; 0 where they are not known."""
    numbers, words, _ = unload.places
    per_group = memories.device.processors_per_group // LANES
    for memory in np.unique(numbers).tolist():
        at = np.unique(words[numbers == memory])
        for run in np.split(at, np.flatnonzero(np.diff(at) != 1) + 1):
            group, number = divmod(memory, per_group)
            data = Data(memories.words[memory, run])
            yield reg.Expect(group, number, int(run[0]), Word(ALL_BITS), data, reg.UNLOAD)
