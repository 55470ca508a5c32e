"""The kernel memory image of a network: runs of columns, and the loader's lists of words.

Source: memory description, sections 1.1 and 1.10.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ai8xc.dialects import reg
from ai8xc.dialects.reg.ops import BYTES_PER_COLUMN
from ai8xc.ir.core import Data
from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.kernel_memory import stored_columns
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.registers import WORD_BYTES, RegisterMap

KERNEL_OVERLAP = declare(
    "AX405",
    "`{layer}` overwrites kernels in column {column} of processor {processor}",
    """Layers that share a processor take different kernel columns, unless their weights are the
    same. `allocate-kernels` chooses the columns of all layers.""",
)


def kernel_image(network: HardwareNetwork) -> Iterator[reg.Kernels]:
    """Yield the runs of columns of all layers, ascending by processor and column.

    Raises `Rejected` where two layers disagree about a column.
    """
    device = network.device
    data = np.zeros((device.processors, device.kernel_columns_large, BYTES_PER_COLUMN), np.uint8)
    used = np.zeros(data.shape[:2], bool)
    for layer in network.by_slot:
        if not layer.stores_kernels:
            continue
        for stored in stored_columns(layer, layer.place.kernel_start or 0):
            rows, columns = data[stored.processor], stored.columns
            both = used[stored.processor, columns]
            if both.any() and (rows[columns] != stored.data)[both].any():
                raise _overlap(layer, stored.processor, int(columns[both][0]))
            rows[columns] = stored.data
            used[stored.processor, columns] = True
    if network.settings.zero_memories:
        used &= data.any(axis=2)
    for processor in range(device.processors):
        for first, last in _runs(used[processor]):
            yield reg.Kernels(processor, first, Data(data[processor, first:last]))


def _overlap(layer: HardwareLayer, processor: int, column: int) -> Rejected:
    name = layer.op.name
    return Rejected([KERNEL_OVERLAP.at(layer.op, layer=name, processor=processor, column=column)])


def _runs(used: Array) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(used.astype(np.int8), prepend=0, append=0))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def packed_list(program: reg.Program) -> Array:
    """Return the words of the packed loader: for each run address, count, bytes; 0 at the end.

    The address is that of the processor plus four bytes a column.
    """
    parts = []
    for run in program.kernels:
        flat = run.data.array.reshape(-1)
        padded = np.pad(flat, (0, -len(flat) % WORD_BYTES))
        words = padded.view(">u4").astype(np.uint32)
        start = _base(program.registers, run.processor) + WORD_BYTES * run.column
        parts.append(np.concatenate([np.array([start, len(words)], np.uint32), words]))
    return np.concatenate([*parts, np.zeros(1, np.uint32)])


def plain_list(program: reg.Program) -> Array:
    """Return the words of the plain loader: for each run address, count, four words a column."""
    addresses, values = program.kernel_words()
    parts, at = [], 0
    for run in program.kernels:
        count = 4 * len(run.data.array)
        head = np.array([addresses[at], count], np.uint32)
        parts.append(np.concatenate([head, values[at : at + count]]))
        at += count
    return np.concatenate([*parts, np.zeros(1, np.uint32)])


def _base(registers: RegisterMap, processor: int) -> int:
    memory = registers.memory("kernel")
    group, instance = divmod(processor, memory.instances)
    return memory.address(group, instance)
