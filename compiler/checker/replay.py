"""Layers are executed on labels in their order, as far as their places allow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

import numpy as np

from ai8xc.checker.constants import ConstantMemories
from ai8xc.checker.data import GARBAGE, DataMemories
from ai8xc.checker.findings import OVERWRITTEN, WrongError
from ai8xc.checker.layout import is_grouped, lanes, place_of
from ai8xc.checker.write_order import writes_behind
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array


class Replay:
    """One network on the memories of a device; `buffers` are those of the layers that stream."""

    def __init__(self, graph: Graph, device: Device, buffers: Mapping[Op, int]) -> None:
        self.graph, self.device, self.buffers = graph, device, buffers
        self.data = DataMemories(device)
        self.constants = ConstantMemories(device)

    @cached_property
    def overlap(self) -> bool:
        """Whether the user answers for layers that overwrite what they read."""
        return Settings.of(self.graph).overlap

    def run(self) -> Iterator[Diagnostic]:
        """Yield what is wrong, layer by layer, and whether the outputs are left at the end."""
        layers = ai8x.layers(self.graph.ops)
        for op in (*self.graph.inputs, *layers):
            self.data.numbers[op] = len(self.data.numbers)
        for number, layer in enumerate(layers):
            try:
                if number == 0:
                    self.limits(layers)
                    self.load(layers)
                self.execute(layer)
            except WrongError as wrong:
                yield wrong.rule.at(layer, layer=layer.name, why=str(wrong))
                self.assume(layer)
        for output in self.graph.outputs:
            if isinstance(output, ai8x.Layer) and output.place is not None:
                try:
                    self.data.read_output(output, output.place)
                except WrongError as wrong:
                    yield wrong.rule.at(output, layer=output.name, why=str(wrong))

    def assume(self, layer: ai8x.Layer) -> None:
        """Write the output of a layer that is wrong: its readers are judged by themselves."""
        place = layer.place
        with suppress(WrongError):
            if place is not None:
                channels = layer.type.shape[1]
                outputs, passes = lanes(place.output_processors, channels, "", self.device)
                labels = self.data.labels(layer)[0].reshape(channels, -1)
                wide = 4 if layer.type.element == "i32" else 1
                step = place.write_gap + 1
                self.data.store(labels, outputs, place.out_offset, passes, step, wide)

    def limits(self, layers: Sequence[ai8x.Layer]) -> None:
        """The first group of processors takes part, as the state machine asks."""
        used = 0
        for layer in layers:
            place = place_of(layer)
            used |= place.processors
        used |= place_of(layers[-1]).output_processors
        if not used & (1 << self.device.processors_per_group) - 1:
            raise WrongError("no layer uses the first group of processors")

    def load(self, layers: Sequence[ai8x.Layer]) -> None:
        """Write the inputs of the network where their first readers expect them."""
        for op in self.graph.inputs:
            reader = next((layer for layer in layers if op in layer.xs), None)
            if reader is None:
                continue
            place = place_of(reader)
            if reader in self.buffers:
                continue
            index = reader.xs.index(op)
            sources, words, passes = self.data.sources(reader)
            processors, offsets = sources[index]
            labels = self.data.labels(op)[0].reshape(op.type.shape[1], -1)
            if reader.mode.chw:
                self.data.load_chw(labels, processors, place.in_offset)
                continue
            operands = np.split(labels, reader.parts if len(reader.xs) == 1 else 1)
            for number, operand in enumerate(operands):
                self.data.store(operand, processors, offsets + 4 * number, passes, words)

    def execute(self, layer: ai8x.Layer) -> None:
        """Read, take kernels and biases, write."""
        place = place_of(layer)
        if (place.in_offset | place.out_offset) % 4:
            raise WrongError("an offset is not a multiple of 4")
        rolls = layer in self.buffers
        reading = self.stream(layer, place) if rolls else self.data.read(layer, place)
        self.check_features(layer, place)
        written, channels = place.output_processors, layer.type.shape[1]
        outputs, passes = lanes(written, channels, "the output", self.device)
        if isinstance(layer, ai8x.Passthrough):
            self.check_passthrough(place)
        if isinstance(layer, ai8x.Weighted):
            self.constants.take_columns(layer, place)
            self.constants.take_biases(layer, place)
        reader = next((other for other in self.buffers if layer in other.operands), None)
        if isinstance(reader, ai8x.Layer):
            self.hand_over(place, reader)
            return
        if rolls:
            reading = self.rolling
        self.check_overwrite(layer, place, outputs, passes, reading)
        self.data.spill(layer, place, outputs, passes)
        labels = self.data.labels(layer)[0].reshape(layer.type.shape[1], -1)
        wide = 4 if layer.type.element == "i32" else 1
        self.data.store(labels, outputs, place.out_offset, passes, place.write_gap + 1, wide)

    @cached_property
    def rolling(self) -> Array:
        """Memories x words of all rolling buffers: they are in use at the same time."""
        return np.zeros((self.device.memories, self.device.data_memory_bytes // 4), bool)

    def stream(self, layer: ai8x.Layer, place: ai8x.Place) -> Array:
        """Take the words of a rolling buffer, which nothing else may use; return all of them."""
        first, words = place.in_offset // 4, self.buffers[layer] + 1
        if first + words > self.rolling.shape[1]:
            raise WrongError(f"its buffer of {words} words from byte {place.in_offset} is outside")
        share = self.device.processors_per_memory
        for memory in range(self.device.memories):
            if place.processors >> share * memory & (1 << share) - 1:
                if self.rolling[memory, first : first + words].any() and not self.overlap:
                    what = f"the buffer of `{layer.name}` shares words of memory {memory}"
                    raise WrongError(f"{what} with another", OVERWRITTEN)
                self.rolling[memory, first : first + words] = True
                self.data.memory[memory, 4 * first : 4 * (first + words)] = GARBAGE
        return self.rolling

    def hand_over(self, place: ai8x.Place, reader: ai8x.Layer) -> None:
        """The next layer takes words as they come: both must mean the same buffer."""
        there = place_of(reader)
        same = (place.output_processors, place.out_offset) == (there.processors, there.in_offset)
        if not same or place.write_gap:
            raise WrongError(f"it does not write to the buffer that `{reader.name}` reads")

    def check_overwrite(
        self,
        layer: ai8x.Layer,
        place: ai8x.Place,
        outputs: Array,
        passes: int,
        reading: Array,
    ) -> None:
        """A layer does not write to words that it reads, unless it has provably read them."""
        both = reading & self.data.written(layer, place, outputs, passes)
        if self.overlap or not both.any():
            return
        behind = writes_behind(layer, place, self.device)
        streamed = any(isinstance(x, ai8x.Layer) and x.mode.streaming for x in layer.xs)
        if behind and (streamed or Settings.of(self.graph).in_place):
            return
        memories, words = np.nonzero(both)
        memory, word = int(memories[0]), int(words[0])
        last = int(words[memories == memory].max())
        what = f"`{layer.name}` overwrites its own input at byte {4 * word}, memory {memory}"
        what += f", up to byte {4 * last + 3}" + (
            f" and in {others} other memories"
            if (others := len(set(memories.tolist())) - 1)
            else ""
        )
        allowed = ", behind its reads: `--overlap-data` allows that" if behind else ""
        raise WrongError(what + allowed, OVERWRITTEN)

    def check_passthrough(self, place: ai8x.Place) -> None:
        """Layers without operator write each group's channels closely packed into the group."""
        span = self.device.processors_per_group
        for group in range(self.device.groups):
            here = (1 << span) - 1
            source = place.processors >> span * group & here
            target = place.output_processors >> span * group & here
            lowest = (target & -target).bit_length() - 1 if target else 0
            if target >> lowest != (1 << source.bit_count()) - 1 or lowest % 4:
                raise WrongError(f"it cannot move group {group} from {source:#x} to {target:#x}")

    def check_features(self, layer: ai8x.Layer, place: ai8x.Place) -> None:
        """Gaps and offsets are ones that the device has."""
        channels, device = layer.in_shape[0], self.device
        if place.read_gap and (
            not device.has("read-gap") or layer.parts > 1 or channels > device.processors
        ):
            raise WrongError(f"it cannot read with a gap of {place.read_gap}")
        passes = -(-layer.type.shape[1] // device.processors)
        if passes * (place.write_gap + 1) >= device.write_step_limit:
            raise WrongError(f"it cannot write with a gap of {place.write_gap}")
        if place.out_offset >= device.offset_limit:
            raise WrongError(f"offset {place.out_offset} is too large")
        if isinstance(layer, ai8x.Weighted) and place.output_processors:
            lowest = (place.output_processors & -place.output_processors).bit_length() - 1
            if is_grouped(layer) and lowest % 4:
                raise WrongError("a depthwise layer writes from a multiple of 4 processors on")
