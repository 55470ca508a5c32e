"""Where data lie: words of the data memories for inputs and outputs of layers.

Source: memory description, sections 3.1, 3.5 and 3.6.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ai8xc.dialects import reg
from ai8xc.ir.core import Data, Word
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.layer import HardwareLayer, bits, ceil_div

LANES = 4
"""Processors that share a data memory, and bytes of its words."""


def words_of(lanes: Array) -> Array:
    """Return words of bytes, the first axis being the lane: lane 0 in the lowest bits."""
    shifts = 8 * np.arange(len(lanes), dtype=np.uint32).reshape(-1, *[1] * (lanes.ndim - 1))
    return np.asarray(np.bitwise_or.reduce(lanes.astype(np.uint8).astype(np.uint32) << shifts))


def memory_of(layer: HardwareLayer, memory: int) -> tuple[int, int]:
    """Return the group of a data memory of the chip, and its number in the group."""
    per_group = layer.device.processors_per_group // LANES
    return divmod(memory, per_group)


def input_image(layer: HardwareLayer, sample: Array) -> Iterator[reg.Load]:
    """Yield the words of the network's input for each memory; `sample` is C x H x W.

    Rows that the layer leaves out at the top lie in front of where it reads.
    """
    channels = sample.reshape(sample.shape[0], -1)
    above = layer.op.crop[0] * sample.shape[2] * layer.passes * layer.op.parts
    word = layer.place.in_offset // 4 - above
    if layer.op.mode.chw:
        yield from _planes(layer, channels, word)
        return
    parts, lanes, passes = layer.op.parts, layer.lanes, layer.passes
    pixels = channels.shape[1]
    full = np.zeros((parts, passes * lanes, pixels), np.int8)
    full[:, : layer.channels] = channels.reshape(parts, -1, pixels)
    # index order: rank of the processor, pixel, pass, operand
    ordered = full.reshape(parts, passes, lanes, pixels).transpose(2, 3, 1, 0)
    rows = ordered.reshape(lanes, -1)
    for memory, filled in _by_memory(bits(layer.processors), rows):
        group, number = memory_of(layer, memory)
        yield reg.Load(group, number, word, Data(words_of(filled)))


def _by_memory(processors: list[int], rows: Array) -> Iterator[tuple[int, Array]]:
    """Yield each memory that processors touch, with one row a lane; unused lanes are 0."""
    for memory in sorted({processor // LANES for processor in processors}):
        filled = np.zeros((LANES, *rows.shape[1:]), rows.dtype)
        for rank, processor in enumerate(processors):
            if processor // LANES == memory:
                filled[processor % LANES] = rows[rank]
        yield memory, filled


def _planes(layer: HardwareLayer, channels: Array, word: int) -> Iterator[reg.Load]:
    for processor, plane in zip(bits(layer.processors), channels, strict=True):
        group, number = memory_of(layer, processor // LANES)
        yield reg.Load(group, number, word, Data(_bytes_as_words(plane)))


def _bytes_as_words(plane: Array) -> Array:
    """Return bytes as words, the first byte in the lowest bits, padded with zeros."""
    padded = np.pad(plane, (0, -len(plane) % LANES))
    return words_of(padded.reshape(-1, LANES).T)


def fifo_words(layer: HardwareLayer, sample: Array) -> tuple[tuple[int, ...], Array]:
    """Return the FIFOs in use, and one row of words a push, one word a FIFO.

    HWC: four channels of a pixel a word; CHW: four pixels of a channel.
    """
    channels = sample.reshape(sample.shape[0], -1)
    mask, span = layer.source_processors, layer.device.processors_per_group
    if layer.op.mode.chw:
        words = [_bytes_as_words(plane) for plane in channels]
    else:
        quads = ceil_div(len(channels), LANES)
        full = np.zeros((quads * LANES, channels.shape[1]), np.int8)
        full[: len(channels)] = channels
        words = [words_of(quad) for quad in full.reshape(quads, LANES, -1)]
    fed = [g for g in range(layer.device.groups) if layer.in_group(mask, g) % (1 << LANES)]
    used = fed[: len(words)]
    for position, fifo in enumerate(used):
        lanes = mask >> span * fifo & (1 << LANES) - 1
        if not layer.op.mode.chw:
            enabled = words_of(np.array([[255 if lanes >> b & 1 else 0] for b in range(LANES)]))
            words[position] = words[position] & enabled[0]
    return tuple(used), np.stack(words[: len(used)], axis=1)


def expected_image(outputs: list[tuple[HardwareLayer, Array]]) -> Iterator[reg.Expect]:
    """Yield what the data memories hold after a run, in the order of mask, then address.

    Each output is a layer and its value, C x H x W. Only lanes of real channels are compared.
    """
    found: dict[tuple[int, int], list[tuple[Array, Array]]] = {}
    for layer, value in outputs:
        for memory, mask, words, values in output_words(layer, value):
            found.setdefault((mask, memory), []).append((words, values))
    for (mask, memory), parts in sorted(found.items()):
        words = np.concatenate([words for words, _ in parts])
        values = np.concatenate([values for _, values in parts])
        order = np.argsort(words, kind="stable")
        words, values = words[order], values[order]
        group, number = memory_of(outputs[0][0], memory)
        for run in np.split(np.arange(len(words)), np.flatnonzero(np.diff(words) != 1) + 1):
            first = int(words[run[0]])
            yield reg.Expect(group, number, first, Word(mask), Data(values[run]))


def output_words(layer: HardwareLayer, value: Array) -> Iterator[tuple[int, int, Array, Array]]:
    """Yield memory, mask, word numbers and values of each part of an output."""
    channels = value.reshape(value.shape[0], -1)
    processors, step = bits(layer.output_processors), layer.place.write_gap + 1
    pixels = np.arange(channels.shape[1])
    for number in range(layer.out_passes):
        part = channels[number * layer.out_lanes : (number + 1) * layer.out_lanes]
        used = processors[: len(part)]
        words = pixels * layer.out_passes + number
        for memory in sorted({processor // LANES for processor in used}):
            ranks = [rank for rank, p in enumerate(used) if p // LANES == memory]
            base = layer.place.out_offset // 4
            if layer.wide:
                for lane, rank in enumerate(ranks):
                    at = base + words * LANES * step + lane
                    yield memory, (1 << 32) - 1, at, part[rank].astype(np.int32).view(np.uint32)
                continue
            lanes = np.zeros((LANES, len(pixels)), np.int8)
            for rank in ranks:
                lanes[used[rank] % LANES] = part[rank]
            mask = _lane_mask(len(ranks), used[ranks[0]] % LANES)
            yield memory, mask, base + words * step, words_of(lanes) & np.uint32(mask)


def _lane_mask(count: int, first: int) -> int:
    bytes_of_mask = (1 << 8 * count) - 1
    return bytes_of_mask << 8 * first if count < LANES else bytes_of_mask
