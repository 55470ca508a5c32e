"""The second opinion on a placement: replays it byte by byte and knows nothing of its search.

Every byte of every data memory holds a label: which tensor, channel and pixel it is. Layers are
executed on labels in their order: what a layer reads must be what its meaning says, what it writes
replaces what was there. Kernel columns and bias bytes are marked as used in the same way. Layouts
are those of the memory description, sections 1.6, 1.7, 2.1, 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic, Rule, declare
from ai8xc.ir.types import Array

MISPLACED = declare(
    "AX130",
    "the placement of `{layer}` is wrong: {why}",
    """Every placement is replayed on labelled memories before registers are made of it. A network
    with places of its own (text, or a vendor description) must obey the layouts of the memories;
    in a placement that the compiler chose, this is a mistake of the compiler.""",
)

OVERWRITTEN = declare(
    "MEM-OVER-IN",
    "data are overwritten before they were read: {why}",
    """Two tensors that are needed at the same time must not share bytes of a data memory, and a
    layer must not write to words that it reads, since the order of both is not relied on.""",
    title="data that are still needed",
    level="network",
    source="hardware semantics, section 2.12",
    limit="no common bytes while both are needed",
    cure="move one of them by its offset, or to other processors",
)
NOT_WRITTEN = declare(
    "OPROC-NEXT",
    "`{layer}` reads where nothing was written: {why}",
    """A layer reads from the memories of its processors, at its input offset. The layer that
    computes the data must write to the same processors, at the same offset and with the same gaps.
    The vendor's tool does not check this.""",
    title="outputs lie where they are read",
    level="network",
    source="hardware semantics, section 2.9",
    limit="the processors, offset and gaps of the reader",
    cure="set `output_processors` and `out_offset` of the layer before to what this one reads",
)

WORD: Final = 4
"""Bytes of a word."""

UNUSED: Final = -1
GARBAGE: Final = -2
"""Labels of bytes that nothing was written to, and of bytes that a write may have destroyed."""


def check(
    graph: Graph, device: Device, buffers: Mapping[Op, int] | None = None
) -> list[Diagnostic]:
    """Return what is wrong with the places of a graph of level ai8x; nothing when all is well.

    `buffers` are the words of the rolling buffer of each layer that streams.
    """
    return list(_Replay(graph, device, buffers or {}).run())


class _WrongError(Exception):
    """What is wrong with a layer, and the rule that it breaks."""

    def __init__(self, why: str, rule: Rule = MISPLACED) -> None:
        self.rule = rule
        super().__init__(why)


@dataclass
class _Replay:
    graph: Graph
    device: Device
    buffers: Mapping[Op, int]
    memory: Array = field(init=False)
    """Memories x bytes of labels."""
    numbers: dict[Op, int] = field(default_factory=dict)
    columns: Array = field(init=False)
    """Processors x columns: whether kernels lie there."""
    biases: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        device = self.device
        shape = (device.memories, device.data_memory_bytes)
        self.memory = np.full(shape, UNUSED, np.int64)
        width = max(device.kernel_columns, device.kernel_columns_large)
        self.columns = np.zeros((device.processors, width), bool)

    @cached_property
    def overlap(self) -> bool:
        """Whether the user answers for layers that overwrite what they read."""
        return Settings.of(self.graph).overlap

    def run(self) -> Iterator[Diagnostic]:
        layers = ai8x.layers(self.graph.ops)
        for op in (*self.graph.inputs, *layers):
            self.numbers[op] = len(self.numbers)
        for number, layer in enumerate(layers):
            try:
                if number == 0:
                    self.limits(layers)
                    self.load(layers)
                self.execute(layer)
            except _WrongError as wrong:
                yield wrong.rule.at(layer, layer=layer.name, why=str(wrong))
                self.assume(layer)
        for output in self.graph.outputs:
            if isinstance(output, ai8x.Layer) and output.place is not None:
                try:
                    self.read_output(output, output.place)
                except _WrongError as wrong:
                    yield wrong.rule.at(output, layer=output.name, why=str(wrong))

    def assume(self, layer: ai8x.Layer) -> None:
        """Write the output of a layer that is wrong: its readers are judged by themselves."""
        place = layer.place
        with suppress(_WrongError):
            if place is not None:
                outputs, passes = self.lanes(place.output_processors, layer.type.shape[1], "")
                labels = self.labels(layer)[0].reshape(layer.type.shape[1], -1)
                wide = 4 if layer.type.element == "i32" else 1
                step = place.write_gap + 1
                self.store(labels, outputs, place.out_offset, passes, step, wide)

    def limits(self, layers: Sequence[ai8x.Layer]) -> None:
        used = 0
        for layer in layers:
            place = _place(layer)
            used |= place.processors
        used |= _place(layers[-1]).output_processors
        if not used & (1 << self.device.processors_per_group) - 1:
            raise _WrongError("no layer uses the first group of processors")

    # Labels

    def labels(self, op: Op) -> Array:
        """Return the labels of a tensor, 1 x channels x rows x columns."""
        _, channels, rows, columns = op.type.shape
        own = np.arange(channels * rows * columns, dtype=np.int64)
        return (own + (self.numbers[op] << 32)).reshape(1, channels, rows, columns)

    # Addresses

    def lanes(self, mask: int, channels: int, what: str) -> tuple[Array, int]:
        """Return the processor of each channel of a pass, and the passes."""
        processors = np.flatnonzero([mask >> p & 1 for p in range(self.device.processors)])
        passes = -(-channels // self.device.processors)
        lanes = -(-channels // passes)
        if passes > 1:
            lanes = min(-(-lanes // 4) * 4, self.device.processors)
        if len(processors) != lanes or mask >> self.device.processors:
            raise _WrongError(f"{what} has {len(processors)} processors for {channels} channels")
        return processors, passes

    # Execution

    def load(self, layers: Sequence[ai8x.Layer]) -> None:
        """Write the inputs of the network where their first readers expect them."""
        for op in self.graph.inputs:
            reader = next((layer for layer in layers if op in layer.xs), None)
            if reader is None:
                continue
            place = _place(reader)
            if reader in self.buffers:
                continue
            index = reader.xs.index(op)
            sources, words, passes = self.sources(reader)
            processors, offsets = sources[index]
            labels = self.labels(op)[0].reshape(op.type.shape[1], -1)
            if reader.mode.chw:
                self.load_chw(labels, processors, place.in_offset)
                continue
            operands = np.split(labels, reader.parts if len(reader.xs) == 1 else 1)
            for number, operand in enumerate(operands):
                self.store(operand, processors, offsets + 4 * number, passes, words)

    def load_chw(self, labels: Array, processors: Array, start: int) -> None:
        memories = processors // self.device.processors_per_memory
        if len(set(memories.tolist())) != len(processors):
            raise _WrongError("two channels of a CHW input share a data memory")
        size = labels.shape[1]
        if start + -(-size // 4) * 4 > self.device.data_memory_bytes:
            raise _WrongError(f"the input has {size} bytes in each memory from byte {start}")
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
            raise _WrongError(f"a tensor lies from byte {words.min()} to {words.max() + 3}")
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
        place = _place(layer)
        channels = layer.in_shape[0]
        processors, passes = self.lanes(place.processors, channels, "the input")
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

    def execute(self, layer: ai8x.Layer) -> None:
        place = _place(layer)
        if (place.in_offset | place.out_offset) % 4:
            raise _WrongError("an offset is not a multiple of 4")
        rolls = layer in self.buffers
        reading = self.stream(layer, place) if rolls else self.read(layer, place)
        self.check_features(layer, place)
        outputs, passes = self.lanes(place.output_processors, layer.type.shape[1], "the output")
        if isinstance(layer, ai8x.Passthrough):
            self.check_passthrough(place)
        if isinstance(layer, ai8x.Weighted):
            self.take_columns(layer, place)
            self.take_biases(layer, place)
        reader = next((other for other in self.buffers if layer in other.operands), None)
        if isinstance(reader, ai8x.Layer):
            self.hand_over(place, reader)
            return
        if rolls:
            reading = self.rolling
        self.check_overwrite(layer, place, outputs, passes, reading)
        self.spill(layer, place, outputs, passes)
        labels = self.labels(layer)[0].reshape(layer.type.shape[1], -1)
        wide = 4 if layer.type.element == "i32" else 1
        self.store(labels, outputs, place.out_offset, passes, place.write_gap + 1, wide)

    # Streams

    @cached_property
    def rolling(self) -> Array:
        """Memories x words of all rolling buffers: they are in use at the same time."""
        return np.zeros((self.device.memories, self.device.data_memory_bytes // 4), bool)

    def stream(self, layer: ai8x.Layer, place: ai8x.Place) -> Array:
        """Take the words of a rolling buffer, which nothing else may use; return all of them."""
        first, words = place.in_offset // 4, self.buffers[layer] + 1
        if first + words > self.rolling.shape[1]:
            raise _WrongError(f"its buffer of {words} words from byte {place.in_offset} is outside")
        share = self.device.processors_per_memory
        for memory in range(self.device.memories):
            if place.processors >> share * memory & (1 << share) - 1:
                if self.rolling[memory, first : first + words].any() and not self.overlap:
                    what = f"the buffer of `{layer.name}` shares words of memory {memory}"
                    raise _WrongError(f"{what} with another", OVERWRITTEN)
                self.rolling[memory, first : first + words] = True
                self.memory[memory, 4 * first : 4 * (first + words)] = GARBAGE
        return self.rolling

    def hand_over(self, place: ai8x.Place, reader: ai8x.Layer) -> None:
        """The next layer takes words as they come: both must mean the same buffer."""
        there = _place(reader)
        same = (place.output_processors, place.out_offset) == (there.processors, there.in_offset)
        if not same or place.write_gap:
            raise _WrongError(f"it does not write to the buffer that `{reader.name}` reads")

    def read(self, layer: ai8x.Layer, place: ai8x.Place) -> Array:
        """Return memories x words that are read, after checking that they hold what they should."""
        rows = [self.labels(x) for x in layer.xs]
        wanted = _gathered(layer, rows)
        parts = np.split(wanted, layer.parts, axis=1)
        channels = layer.in_shape[0]
        processors, passes = self.lanes(place.processors, channels, "the input")
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
                    raise _WrongError(f"the input ends at byte {bytes_.max()} of a memory")
                held = self.memory[memory, bytes_]
                wrong = np.flatnonzero(held != values[channel])
                if wrong.size:
                    pixel = int(wrong[0])
                    never = held[pixel] == UNUSED
                    rule = NOT_WRITTEN if never else OVERWRITTEN
                    raise _WrongError(self.describe(number, channel, pixel, held, values), rule)
                touched[memory, bytes_ // 4] = True
        return touched

    def describe(self, number: int, channel: int, pixel: int, held: Array, wanted: Array) -> str:
        found = self.named(int(held[pixel]))
        expected = self.named(int(wanted[channel, pixel]))
        return (
            f"operand {number}, channel {channel}, pixel {pixel} reads {found} "
            f"where {expected} should be"
        )

    def named(self, label: int) -> str:
        if label == UNUSED:
            return "a byte that was never written"
        if label == GARBAGE:
            return "a byte that another write destroyed"
        tensor = next(op for op, n in self.numbers.items() if n == label >> 32)
        _, _, rows, columns = tensor.type.shape
        channel, pixel = divmod(label & 0xFFFFFFFF, rows * columns)
        return f"`{tensor.name}` channel {channel}, pixel {pixel}"

    def written(self, layer: ai8x.Layer, place: ai8x.Place, outputs: Array, passes: int) -> Array:
        """Return memories x words that the layer writes."""
        _, _, rows, columns = layer.type.shape
        lead, tail = _spill(layer, self.device)
        wide = 4 if layer.type.element == "i32" else 1
        words = np.arange(-lead * passes, (rows * columns + tail) * passes)
        first = place.out_offset // 4 + words * wide * (place.write_gap + 1)
        spots = (first[:, None] + np.arange(wide)).ravel()
        if spots.min() < 0 or (spots.max() + 1) * 4 > self.device.data_memory_bytes:
            low, high = 4 * spots.min(), 4 * spots.max() + 3
            raise _WrongError(f"the output reaches from byte {low} to {high} of a memory")
        found = np.zeros((self.device.memories, self.device.data_memory_bytes // 4), bool)
        memories = sorted(set((outputs // self.device.processors_per_memory).tolist()))
        found[np.ix_(memories, spots)] = True
        return found

    def spill(self, layer: ai8x.Layer, place: ai8x.Place, outputs: Array, passes: int) -> None:
        """Destroy what the layer overwrites besides its output."""
        words = self.written(layer, place, outputs, passes)
        self.memory[np.repeat(words, 4, axis=1)] = GARBAGE

    def check_overwrite(
        self,
        layer: ai8x.Layer,
        place: ai8x.Place,
        outputs: Array,
        passes: int,
        reading: Array,
    ) -> None:
        """A layer does not write to words that it reads, unless it has provably read them."""
        if self.overlap or _writes_behind(layer, place, self.device):
            return
        both = reading & self.written(layer, place, outputs, passes)
        if both.any():
            memory, word = (int(axis[0]) for axis in np.nonzero(both))
            what = f"`{layer.name}` overwrites its own input at byte {4 * word}, memory {memory}"
            raise _WrongError(what, OVERWRITTEN)

    def check_passthrough(self, place: ai8x.Place) -> None:
        """Layers without operator write each group's channels closely packed into the group."""
        span = self.device.processors_per_group
        for group in range(self.device.groups):
            here = (1 << span) - 1
            source = place.processors >> span * group & here
            target = place.output_processors >> span * group & here
            lowest = (target & -target).bit_length() - 1 if target else 0
            if target >> lowest != (1 << source.bit_count()) - 1 or lowest % 4:
                raise _WrongError(f"it cannot move group {group} from {source:#x} to {target:#x}")

    def check_features(self, layer: ai8x.Layer, place: ai8x.Place) -> None:
        channels, device = layer.in_shape[0], self.device
        if place.read_gap and (
            not device.has("read-gap") or layer.parts > 1 or channels > device.processors
        ):
            raise _WrongError(f"it cannot read with a gap of {place.read_gap}")
        passes = -(-layer.type.shape[1] // device.processors)
        if passes * (place.write_gap + 1) >= device.write_step_limit:
            raise _WrongError(f"it cannot write with a gap of {place.write_gap}")
        if place.out_offset >= device.offset_limit:
            raise _WrongError(f"offset {place.out_offset} is too large")
        if isinstance(layer, ai8x.Weighted) and place.output_processors:
            lowest = (place.output_processors & -place.output_processors).bit_length() - 1
            if _is_grouped(layer) and lowest % 4:
                raise _WrongError("a depthwise layer writes from a multiple of 4 processors on")

    def take_columns(self, layer: ai8x.Weighted, place: ai8x.Place) -> None:
        """Mark the kernel columns of a layer; equal weights on equal processors may be shared."""
        start = place.kernel_start
        if start is None:
            return
        if start % self.device.kernel_alignment:
            raise _WrongError(f"kernel column {start} is not a multiple of 4")
        device = self.device
        count = _kernel_columns(layer, place, device)
        passes = -(-layer.in_shape[0] // device.processors)
        taps = _taps(layer, device)
        low = start + _skipped(place) * taps * passes // device.kernel_bytes_per_column
        key = (_content(layer.weight), place.processors, place.output_processors, start)
        if key in self.shared:
            return
        self.shared.add(key)
        for processor in range(self.device.processors):
            if not place.processors >> processor & 1:
                continue
            if start + count > self.device.kernel_columns_of(processor):
                raise _WrongError(f"kernel columns {start} to {start + count - 1} do not exist")
            row = self.columns[processor, low : start + count]
            if row.any():
                column = low + int(np.flatnonzero(row)[0])
                raise _WrongError(f"kernel column {column} of processor {processor} is taken")
            row[:] = True

    shared: set[object] = field(default_factory=set)

    def take_biases(self, layer: ai8x.Weighted, place: ai8x.Place) -> None:
        """Mark the bias bytes of a layer; equal ones at the same place may be shared."""
        if layer.bias is None or place.bias_group is None or place.bias_start is None:
            return
        group, start = place.bias_group, place.bias_start
        end = start + layer.type.shape[1] + _skipped(place) * _passes_out(layer, self.device)
        key = (_content(layer.bias), group, start)
        if key in self.shared:
            return
        self.shared.add(key)
        if end > self.device.bias_bytes_per_group:
            raise _WrongError(f"biases end at byte {end} of group {group}")
        for low, high in self.biases.setdefault(group, []):
            if start < high and low < end:
                raise _WrongError(f"biases overlap in group {group} at byte {max(low, start)}")
        self.biases[group].append((start, end))

    def read_output(self, layer: ai8x.Layer, place: ai8x.Place) -> None:
        """The value of an output is still there at the end."""
        labels = self.labels(layer)[0].reshape(layer.type.shape[1], -1)
        processors, passes = self.lanes(place.output_processors, len(labels), "the output")
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
                raise _WrongError(what, OVERWRITTEN)


def _writes_behind(layer: ai8x.Layer, place: ai8x.Place, device: Device) -> bool:
    """Whether a layer has read every word of its input that it overwrites.

    With one pass in and out, results are written in the order of pixels, each when its window has
    been read. Row r of the output is written once the windows above it are done; it stays below
    the top row of its own windows, (r - pad) * stride, so no later window reads what it replaces.
    """
    single = max(layer.in_shape[0], layer.type.shape[1]) <= device.processors and layer.parts == 1
    plain = not (layer.mode.chw or layer.mode.streaming or place.read_gap or place.write_gap)
    dilated = isinstance(layer, ai8x.Conv1d) and layer.dilation[0] > 1
    turned = isinstance(layer, ai8x.ConvTranspose2d) or layer.type.element == "i32"
    if not (single and plain) or dilated or turned:
        return False
    flat = isinstance(layer, ai8x.Linear) and layer.flatten
    stride = layer.pool.strides[0] if layer.pool else 1
    pad = layer.pad[0] if isinstance(layer, ai8x.Conv2d | ai8x.Conv1d) else 0
    _, _, rows, columns = layer.type.shape
    return not flat and all(
        place.out_offset + WORD * ((row + 1) * columns - 1)
        < place.in_offset + WORD * max(0, row - pad) * stride * layer.in_shape[2]
        for row in range(rows)
    )


def _content(op: Op) -> object:
    """Return what equal constants have in common."""
    return (op.value, op.element) if isinstance(op, ai8x.Constant) else op


def _place(layer: ai8x.Layer) -> ai8x.Place:
    if layer.place is None:
        raise _WrongError("it has no place")
    return layer.place


def _gathered(layer: ai8x.Layer, rows: Sequence[Array]) -> Array:
    """Return the labels of all operands, as the layer's meaning joins, crops and views them."""
    if layer.gather == "pixels":
        flat = [row.reshape(*row.shape[:2], -1) for row in rows]
        return np.concatenate(flat, axis=2)
    joined = np.concatenate(rows, axis=1)
    joined = joined[:, :, layer.crop[0] : joined.shape[2] - layer.crop[1]]
    return joined.reshape(1, layer.in_shape[0] * layer.parts, -1)


def _spill(layer: ai8x.Layer, device: Device) -> tuple[int, int]:
    """Return words before and pixels behind the output that a widely dilated layer writes."""
    if not isinstance(layer, ai8x.Conv1d):
        return 0, 0
    length, distance = layer.kernel[0], layer.dilation[0]
    if (length - 1) * distance + 1 <= device.max_stretched_kernel_1d:
        return 0, 0
    rows = layer.in_shape[1]
    return (distance if length == 3 else 0), -(-rows // distance) * distance - layer.type.shape[2]


def _skipped(place: ai8x.Place) -> int:
    lowest = (place.output_processors & -place.output_processors).bit_length() - 1
    return lowest % 4


def _passes_out(layer: ai8x.Layer, device: Device) -> int:
    return -(-layer.type.shape[1] // device.processors)


def _kernel_columns(layer: ai8x.Weighted, place: ai8x.Place, device: Device) -> int:
    """Return the columns that kernels occupy, skipped ones included (memory.md, section 1.6)."""
    out = place.output_processors
    skipped, passes_out = _skipped(place), _passes_out(layer, device)
    lowest = (out & -out).bit_length() - 1
    span = out.bit_length() - (lowest - skipped if passes_out > 1 else lowest)
    channels, bits = layer.in_shape[0], layer.weight_bits
    passes_in = -(-channels // device.processors)
    outputs = layer.type.shape[1]
    if isinstance(layer, ai8x.Linear) and layer.flatten:
        values = passes_in * layer.pooled_shape[1] * layer.pooled_shape[2]
        absent = passes_out * out.bit_count() - outputs
        kernels, taps = ((span + skipped) * passes_out - absent) * values, 1
        extra = absent if bits == 8 else 0
    else:
        taps = _taps(layer, device)
        kernels = passes_in if _is_grouped(layer) else (span + skipped) * passes_out * passes_in
        extra = 0
    return -(-(kernels * taps * bits + 8 * extra) // 72)


def _is_grouped(layer: ai8x.Weighted) -> bool:
    kinds = ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d
    return isinstance(layer, kinds) and layer.groups > 1


def _taps(layer: ai8x.Weighted, device: Device) -> int:
    if isinstance(layer, ai8x.Conv1d):
        reach = (layer.kernel[0] - 1) * layer.dilation[0] + 1
        return min(reach, device.max_stretched_kernel_1d)
    if isinstance(layer, ai8x.Conv2d | ai8x.ConvTranspose2d):
        return layer.kernel[0] * layer.kernel[1]
    return 1
