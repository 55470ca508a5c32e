"""FIFO input and the rolling buffers of streaming layers (registers.md 11.11)."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Run
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.memory import DEFINED, LANES, DataMemory, Frame
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.store import Causes

FIFOS = 4
FIRST_NIBBLE = 0xF  # processors 0 to 3 of a group take FIFO data


class Fifos:
    """The words that were pushed and not yet taken; the fast FIFO is FIFO 0."""

    def __init__(self) -> None:
        self._queues: list[deque[int]] = [deque() for _ in range(FIFOS)]

    def push(self, fifo: int, word: int) -> None:
        """Add one word."""
        self._queues[fifo].append(word)

    def clear(self) -> None:
        """Drop everything."""
        for queue in self._queues:
            queue.clear()

    def ready(self, sources: dict[int, int], words: int) -> bool:
        """True when every FIFO that feeds a group holds a whole frame."""
        return all(len(self._queues[fifo]) >= words for fifo in set(sources.values()))

    def take(self, sources: dict[int, int], words: int, memories: int, base: int) -> Frame:
        """Remove one frame: word `i` becomes word `base + i` of the first memory of each group."""
        frame = Frame(memories, words, base)
        taken = {
            fifo: np.array([self._queues[fifo].popleft() for _ in range(words)], np.uint32)
            for fifo in set(sources.values())
        }
        for group, fifo in sources.items():
            memory = group * PROCESSORS_PER_GROUP // LANES
            frame.words[memory] = taken[fifo]
            frame.state[memory] = DEFINED
        return frame


def fifo_sources(registers: RegisterFile, run: Run) -> dict[int, int]:
    """Which FIFO feeds each group that reads input; empty without FIFO input."""
    if not run.fifo:
        return {}
    groups = [
        g for g in run.groups if registers.field("ENA", "processors", g, run.first) & FIRST_NIBBLE
    ]
    return {g: 0 if run.fast_fifo else g for g in groups}


def streams(registers: RegisterFile, run: Run, layer: int) -> bool:
    """True when the layer reads its input while it is being produced."""
    if layer == run.first:
        return run.streaming and run.fifo
    return run.fifo and bool(registers.field("STREAM1", "start", run.master, layer))


@dataclass(frozen=True, slots=True)
class Buffer:
    """The rolling input buffer of a streaming layer: words `first` to `stop - 1` of memories."""

    layer: int
    memories: frozenset[int]
    first: int
    stop: int

    def overlaps(self, other: "Buffer") -> bool:
        """True when both hold a common word."""
        shared = self.memories & other.memories
        return bool(shared) and self.first < other.stop and other.first < self.stop


def rolling_buffer(registers: RegisterFile, run: Run, layer: Layer) -> Buffer:
    """The buffer of a streaming layer, FMAX words from its read pointer on."""
    words = registers.field("FMAX", "rollover", run.master, layer.index)
    memories = frozenset((layer.processors // LANES).tolist())
    return Buffer(layer.index, memories, layer.read_word, layer.read_word + words)


def check_buffer(
    buffer: Buffer, others: list[Buffer], data: DataMemory, findings: Findings
) -> None:
    """Report a buffer that leaves the memory or shares words with another one."""
    if buffer.stop > data.count:
        findings.add(
            Finding(
                "stream-buffer",
                f"the buffer ends at word {buffer.stop}, the memory at {data.count}",
                layer=buffer.layer,
            )
        )
    for other in others:
        if buffer.overlaps(other):
            findings.add(
                Finding(
                    "stream-buffer",
                    f"words {buffer.first} to {buffer.stop - 1} are also used by layer"
                    f" {other.layer}, words {other.first} to {other.stop - 1}",
                    layer=buffer.layer,
                )
            )


def spoil_buffer(buffer: Buffer, data: DataMemory, causes: Causes, event: int) -> None:
    """A rolling buffer leaves unspecified words behind."""
    cause = Finding("uninitialised", "a streaming buffer was read as data", layer=buffer.layer)
    state = causes.state(cause)
    where = slice(buffer.first, min(buffer.stop, data.count))
    for memory in sorted(buffer.memories):
        data.note_write(memory, where, event)
        data.state[memory, where] = state
