"""The data memories with a label in every byte: which tensor, channel and pixel it is."""

from __future__ import annotations

from typing import Final

import numpy as np

from ai8xc.checker.findings import NOT_WRITTEN, OVERWRITTEN, WrongError
from ai8xc.checker.layout import beyond, gathered, lanes, place_of
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array

UNUSED: Final = -1
GARBAGE: Final = -2
"""Labels of bytes that nothing was written to, and of bytes that a write may have destroyed."""


class DataMemories:
    """What lies where; `numbers` are those of the tensors, in the order of their layers."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.numbers: dict[Op, int] = {}
        shape = (device.memories, device.data_memory_bytes)
        self.memory: Array = np.full(shape, UNUSED, np.int64)

    def labels(self, op: Op) -> Array:
        """Return the labels of a tensor, 1 x channels x rows x columns."""
        _, channels, rows, columns = op.type.shape
        own = np.arange(channels * rows * columns, dtype=np.int64)
        return (own + (self.numbers[op] << 32)).reshape(1, channels, rows, columns)

    def load_chw(self, labels: Array, processors: Array, start: int) -> None:
        """Write an input of which each channel lies in a memory of its own, byte by byte."""
        memories = processors // self.device.processors_per_memory
        if len(set(memories.tolist())) != len(processors):
            raise WrongError("two channels of a CHW input share a data memory")
        size = labels.shape[1]
        if start + -(-size // 4) * 4 > self.device.data_memory_bytes:
            raise WrongError(f"the input has {size} bytes in each memory from byte {start}")
        for row, memory in zip(labels, memories, strict=True):
            self.memory[memory, start : start + size] = row

    def store(
        self, labels: Array, processors: Array, start: int, passes: int, step: int, wide: int = 1
    ) -> None:
        """Write labels, channels x pixels; bytes of the same words that they do not fill are lost.

        `wide` is 4 for values of four bytes, each a word of its own.
        """
        channels, pixels = labels.shape
        share = self.device.processors_per_memory
        first = start + 4 * step * wide * np.arange(pixels * passes)
        words = (first[:, None] + 4 * np.arange(wide)).ravel()
        if words.min() < 0 or words.max() + 4 > self.device.data_memory_bytes:
            raise WrongError(f"a tensor lies from byte {words.min()} to {words.max() + 3}")
        for memory in sorted(set((processors // share).tolist())):
            self.memory[memory, (words[:, None] + np.arange(4)).ravel()] = GARBAGE
        for channel in range(channels):
            turn, lane = divmod(channel, len(processors))
            memory, place = divmod(int(processors[lane]), share)
            base = first.reshape(pixels, passes)[:, turn]
            if wide > 1:
                spots = (base[:, None] + 4 * place + np.arange(4)).ravel()
                self.memory[memory, spots] = np.repeat(labels[channel], 4)
            else:
                self.memory[memory, base + place] = labels[channel]

    def sources(self, layer: ai8x.Layer) -> tuple[list[tuple[Array, int]], int, int]:
        """Return processors and offset of each operand tensor, their word step and passes."""
        place = place_of(layer)
        channels = layer.in_shape[0]
        processors, passes = lanes(place.processors, channels, "the input", self.device)
        step = layer.parts * (place.read_gap + 1)
        found: list[tuple[Array, int]] = []
        seen = 0
        if layer.gather == "pixels":
            at = place.in_offset
            for x in layer.xs:
                found.append((processors, at))
                at += 4 * passes * x.type.shape[2] * x.type.shape[3]
            return found, 1, passes
        _, _, _, columns = layer.xs[0].type.shape
        begin = place.in_offset - 4 * step * passes * layer.crop[0] * columns
        for x in layer.xs:
            number, inside = divmod(seen, channels)
            turn, lane = divmod(inside, len(processors))
            count = x.type.shape[1]
            own = processors[lane : lane + min(count, channels)]
            offset = begin + 4 * (turn * step + number)
            found.append((own, offset))
            seen += count
        several = passes > 1 and len(layer.xs) > layer.parts
        return found, step * (passes if several else 1), 1 if several else passes

    def read(self, layer: ai8x.Layer, place: ai8x.Place) -> Array:
        """Return memories x words that are read, after checking that they hold what they should."""
        rows = [self.labels(x) for x in layer.xs]
        wanted = gathered(layer, rows)
        parts = np.split(wanted, layer.parts, axis=1)
        channels = layer.in_shape[0]
        processors, passes = lanes(place.processors, channels, "the input", self.device)
        pixels = layer.in_shape[1] * layer.in_shape[2]
        touched = np.zeros((self.device.memories, self.device.data_memory_bytes // 4), bool)
        for number, part in enumerate(parts):
            values = part.reshape(channels, pixels)
            for channel in range(channels):
                turn, lane = divmod(channel, len(processors))
                processor = int(processors[lane])
                memory = processor // self.device.processors_per_memory
                if layer.mode.chw:
                    bytes_ = place.in_offset + np.arange(pixels)
                else:
                    step = layer.parts * (place.read_gap + 1)
                    word = (np.arange(pixels) * passes + turn) * step + number
                    bytes_ = place.in_offset + 4 * word + processor % 4
                if bytes_.min() < 0 or bytes_.max() >= self.device.data_memory_bytes:
                    raise WrongError(f"the input ends at byte {bytes_.max()} of a memory")
                held = self.memory[memory, bytes_]
                wrong = np.flatnonzero(held != values[channel])
                if wrong.size:
                    what = self.describe(number, channel, int(wrong[0]), held, values)
                    spot = bytes_[wrong]
                    where = f"bytes {spot.min()} to {spot.max()} of memory {memory}"
                    never = held[wrong[0]] == UNUSED
                    rule = NOT_WRITTEN if never else OVERWRITTEN
                    raise WrongError(f"{what}{self.when(held[wrong[0]], layer)}; {where}", rule)
                touched[memory, bytes_ // 4] = True
        return touched

    def describe(self, number: int, channel: int, pixel: int, held: Array, wanted: Array) -> str:
        """Return what is read in place of what, in words."""
        found = self.named(int(held[pixel]))
        expected = self.named(int(wanted[channel, pixel]))
        return (
            f"operand {number}, channel {channel}, pixel {pixel} reads {found} "
            f"where {expected} should be"
        )

    def when(self, label: int, reader: ai8x.Layer) -> str:
        """Return the steps in which a tensor was written and is read, in words."""
        if label < 0:
            return ""
        steps = [op for op in self.numbers if isinstance(op, ai8x.Layer)]
        writer = self.tensor(label)
        if not isinstance(writer, ai8x.Layer):
            return ""
        return f", written in step {steps.index(writer)} and read in step {steps.index(reader)}"

    def tensor(self, label: int) -> Op:
        """Return the tensor that a label is of."""
        return next(op for op, n in self.numbers.items() if n == label >> 32)

    def named(self, label: int) -> str:
        """Return what a label stands for, in words."""
        if label == UNUSED:
            return "a byte that was never written"
        if label == GARBAGE:
            return "a byte that another write destroyed"
        tensor = self.tensor(label)
        _, _, rows, columns = tensor.type.shape
        channel, pixel = divmod(label & 0xFFFFFFFF, rows * columns)
        return f"`{tensor.name}` channel {channel}, pixel {pixel}"

    def written(self, layer: ai8x.Layer, place: ai8x.Place, outputs: Array, passes: int) -> Array:
        """Return memories x words that the layer writes."""
        _, _, rows, columns = layer.type.shape
        lead, tail = beyond(layer, self.device)
        wide = 4 if layer.type.element == "i32" else 1
        words = np.arange(-lead * passes, (rows * columns + tail) * passes)
        first = place.out_offset // 4 + words * wide * (place.write_gap + 1)
        spots = (first[:, None] + np.arange(wide)).ravel()
        if spots.min() < 0 or (spots.max() + 1) * 4 > self.device.data_memory_bytes:
            low, high = 4 * spots.min(), 4 * spots.max() + 3
            raise WrongError(f"the output reaches from byte {low} to {high} of a memory")
        found = np.zeros((self.device.memories, self.device.data_memory_bytes // 4), bool)
        memories = sorted(set((outputs // self.device.processors_per_memory).tolist()))
        found[np.ix_(memories, spots)] = True
        return found

    def spill(self, layer: ai8x.Layer, place: ai8x.Place, outputs: Array, passes: int) -> None:
        """Destroy what the layer overwrites besides its output."""
        words = self.written(layer, place, outputs, passes)
        self.memory[np.repeat(words, 4, axis=1)] = GARBAGE

    def read_output(self, layer: ai8x.Layer, place: ai8x.Place) -> None:
        """The value of an output is still there at the end."""
        labels = self.labels(layer)[0].reshape(layer.type.shape[1], -1)
        processors, passes = lanes(place.output_processors, len(labels), "the output", self.device)
        pixels = np.arange(labels.shape[1])
        wide = 4 if layer.type.element == "i32" else 1
        for channel, values in enumerate(labels):
            turn, lane = divmod(channel, len(processors))
            processor = int(processors[lane])
            word = (pixels * passes + turn) * (place.write_gap + 1) * wide
            first = place.out_offset + 4 * word + processor % 4 * wide
            held = self.memory[processor // 4, first]
            if (held != values).any():
                pixel = int(np.flatnonzero(held != values)[0])
                found = self.named(int(held[pixel]))
                what = f"at the end, channel {channel}, pixel {pixel} is {found}"
                raise WrongError(what, OVERWRITTEN)
