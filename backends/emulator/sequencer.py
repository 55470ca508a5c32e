"""The state machine: which layer runs when, and what each reads and writes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ai8xc.backends.emulator.consistency import Context, check_layer, check_loaded
from ai8xc.backends.emulator.counters import check_counters
from ai8xc.backends.emulator.cycles import layer_cycles
from ai8xc.backends.emulator.decode import Layer, Run, decode_layer
from ai8xc.backends.emulator.engine import Computed, Gathered, Memories, compute, gather
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.layout import Placement, placement
from ai8xc.backends.emulator.memory import DataMemory, Frame
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.store import (
    Causes,
    area,
    check_inside,
    check_own_input,
    check_torn,
    mark_output,
    note_writer,
    place_output,
)
from ai8xc.backends.emulator.streaming import (
    Buffer,
    check_buffer,
    rolling_buffer,
    spoil_buffer,
    streams,
)
from ai8xc.backends.emulator.trace import Area, LayerTrace

MAX_STEPS = 1024  # a link that never ends is a mistake in the program
SNOOPERS = 2
SNOOP_MATCH = 0x82000000 >> 3  # the only documented comparison, in the control field


@dataclass
class Sequencer:
    """Runs the layers of one start; `position` is the next layer, None when the run has ended."""

    registers: RegisterFile
    memories: Memories
    findings: Findings
    causes: Causes
    traces: list[LayerTrace] = field(default_factory=list)
    position: int | None = None
    events: int = 0
    _known: dict[tuple[Run, int], tuple[int, Layer]] = field(default_factory=dict)
    _handed: Frame | None = None
    _buffers: list[Buffer] = field(default_factory=list)
    _streamed: list[Layer] = field(default_factory=list)

    def next_event(self) -> int:
        """A new number for something that writes data."""
        self.events += 1
        return self.events

    def start(self, run: Run, frame: Frame | None) -> None:
        """Begin at the first layer; `frame` holds the FIFO input."""
        self.position = run.first
        self.traces.clear()
        self._buffers.clear()
        self._streamed.clear()
        self._handed = frame
        if frame is not None and not streams(self.registers, run, run.first):
            self._store_frame(frame)
            self._handed = None

    def run(self, run: Run, one_shot: bool) -> None:
        """Execute layers to the end, or a single one."""
        for _ in range(MAX_STEPS):
            if self.position is None:
                return
            self.position = self._step(run, self.position)
            if one_shot:
                return
        self.findings.add(Finding("control", f"no end after {MAX_STEPS} layers"))
        self.position = None

    def _store_frame(self, frame: Frame) -> None:
        event = self.next_event()
        for memory in np.nonzero(frame.state.any(axis=1))[0].tolist():
            self.memories.data.load(memory, frame.base, frame.words[memory], event)

    def _step(self, run: Run, index: int) -> int | None:
        layer = self._layer(run, index)
        event = self.next_event()
        if layer.processors.size:
            self._execute(run, layer, event)
        return self._next(run, index, event)

    def _layer(self, run: Run, index: int) -> Layer:
        """Decode a layer and check its registers, once for each state of them."""
        version, known = self._known.get((run, index), (-1, None))
        if known is not None and version == self.registers.version:
            return known
        layer = decode_layer(self.registers, run, index)
        if layer.processors.size:
            streaming = streams(self.registers, run, index)
            shift = self.memories.data.pointer_shift
            check_layer(Context(self.registers, run, layer, shift, streaming), self.findings)
        self._known[run, index] = self.registers.version, layer
        return layer

    def _execute(self, run: Run, layer: Layer, event: int) -> None:
        data = self.memories.data
        streaming = streams(self.registers, run, layer.index)
        source = self._handed or data
        self._check(run, layer, streaming)
        gathered = gather(layer, source)
        if streaming:
            self._roll(run, layer, event)
        computed = compute(layer, gathered, self.memories)
        place = placement(layer, data.pointer_shift, len(computed.values))
        target = self._target(run, layer, place, computed)
        if source is data:
            check_torn(layer, gathered, data, self.findings)
            if target is data:
                shape = computed.values.shape[1], computed.values.shape[2]
                check_own_input(layer, place, gathered, shape, self.findings)
        self._write(layer, computed, place, target, event)
        self._trace(layer, gathered, computed, place, streaming)

    def _check(self, run: Run, layer: Layer, streaming: bool) -> None:
        """What can be seen in memories and counters before the layer runs."""
        kernels, bias = self.memories.kernels.written, self.memories.bias.written
        check_loaded(layer, kernels, bias, self.findings)
        if streaming:
            self._streamed.append(layer)
            last = layer.index == run.last
            last = last or not streams(self.registers, run, layer.index + 1)
            check_counters(self.registers, run, self._streamed, last, self.findings)

    def _target(self, run: Run, layer: Layer, place: Placement, computed: Computed) -> Frame:
        """The data memory, or a frame for a reader that takes the words as they come."""
        following = layer.index + 1
        if layer.index == run.last or not streams(self.registers, run, following):
            self._handed = None
            return self.memories.data
        base = int(place.word.min())
        count = int(place.word.max()) - base + (computed.values[0].size - 1) * place.step + 1
        self._handed = Frame(len(self.memories.data.words), count, base)
        return self._handed

    def _write(
        self, layer: Layer, computed: Computed, place: Placement, target: Frame, event: int
    ) -> None:
        inside = place_output(computed, place, target)
        check_inside(layer, place, inside, self.findings)
        count = computed.values[0].size
        if isinstance(target, DataMemory):
            self._check_stream_output(layer, place, count)
            note_writer(place, inside, count, target, event)
        cause = 0
        if computed.unknown is not None:
            cause = self.causes.state(
                Finding(
                    "uninitialised",
                    f"read words that were never written, from word {layer.read_word} on",
                    layer=layer.index,
                )
            )
        mark_output(computed, place, inside, target, cause)
        if target is self._handed:
            reader = self.registers.field("RPTR_BASE", "word", layer.master, layer.index + 1)
            target.base = reader

    def _roll(self, run: Run, layer: Layer, event: int) -> None:
        buffer = rolling_buffer(self.registers, run, layer)
        check_buffer(buffer, self._buffers, self.memories.data, self.findings)
        spoil_buffer(buffer, self.memories.data, self.causes, event)
        self._buffers.append(buffer)

    def _check_stream_output(self, layer: Layer, place: Placement, count: int) -> None:
        """The output of the last streaming layer must not touch a buffer still in use."""
        if not (self._buffers and self._buffers[-1].layer == layer.index):
            return
        written = area(place, count, True)
        output = Buffer(layer.index, frozenset(written.memories), written.first, written.last + 1)
        check_buffer(output, self._buffers, self.memories.data, self.findings)

    def _trace(
        self,
        layer: Layer,
        gathered: Gathered,
        computed: Computed,
        place: Placement,
        streaming: bool,
    ) -> None:
        last = gathered.first + gathered.state.shape[1] - 1
        has_model = not self.registers.map.has("NXTLYR")
        self.traces.append(
            LayerTrace(
                index=layer.index,
                operator=layer.operator.name.lower(),
                cycles=layer_cycles(layer, streaming) if has_model else None,
                read=Area(tuple(gathered.memories.tolist()), gathered.first, last, not streaming),
                written=area(place, computed.values[0].size, self._handed is None),
                output=computed.values,
            )
        )

    def _next(self, run: Run, index: int, event: int) -> int | None:
        """registers.md 11.2."""
        link = self.registers.field("NXTLYR", "jump", run.master, index)
        if run.snoop:
            stop, take = self._snooped(run, event)
            if stop:
                return None
            link = link and take
        if self.registers.field("NXTLYR", "stop", run.master, index):
            return None
        if link:
            return self.registers.field("NXTLYR", "target", run.master, index)
        return None if index == run.last else index + 1

    def _snooped(self, run: Run, event: int) -> tuple[bool, bool]:
        """Whether a snooper that matched ends the run, and whether one takes the link."""
        stop = take = False
        for group, snooper in self._armed(run):
            pointer = self.registers.field("SNP_A1", "pointer", group, snooper)
            if self._matches(pointer, self.registers.word("SNP_D1", group, snooper), event):
                stop |= bool(self.registers.field("SNP_C1", "stop", group, snooper))
                take |= bool(self.registers.field("SNP_C1", "link", group, snooper))
        return stop, take

    def _armed(self, run: Run) -> Iterator[tuple[int, int]]:
        for group in run.groups:
            for snooper in range(SNOOPERS):
                control = self.registers.field("SNP_C1", "control", group, snooper)
                enabled = self.registers.field("SNP_C1", "enable", group, snooper)
                if enabled and control & (0xFF << 21) == SNOOP_MATCH & (0xFF << 21):
                    yield group, snooper

    def _matches(self, pointer: int, value: int, event: int) -> bool:
        """True when the word at `pointer` was written by the layer of `event` with `value`."""
        data = self.memories.data
        pointer &= (1 << 21) - 1
        memory, word = pointer >> data.pointer_shift, pointer & ((1 << data.pointer_shift) - 1)
        if memory >= len(data.words) or word >= data.count:
            return False
        return data.writer[memory, word] == event and int(data.words[memory, word]) == value
