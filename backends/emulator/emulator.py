"""The accelerator as the bus sees it: every address can be written and read."""

from collections.abc import Iterable

import numpy as np

from ai8xc.backends.emulator.control import Control
from ai8xc.backends.emulator.engine import Memories
from ai8xc.backends.emulator.findings import Finding, Findings, Kind
from ai8xc.backends.emulator.memory import (
    DEFINED,
    LANES,
    DataMemory,
    KernelMemory,
    PlainMemory,
    Words,
)
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.store import Causes
from ai8xc.backends.emulator.trace import LayerTrace
from ai8xc.device import canonical_name
from ai8xc.registers import MemoryPlace, Place, load_registers

WORD = 0xFFFF_FFFF
BYTE = 0xFF


class Emulator:
    """A register-accurate emulator: nothing but writes and reads.

    A start (the write of CTL that sets bit 0 in the master group) executes the whole network
    inside that write, unless input is still expected from a FIFO; then it happens with the last
    `push`. The interrupt is pending while `interrupt` is True.
    """

    def __init__(self, device: str, strict: bool = False) -> None:
        registers = load_registers(canonical_name(device))
        groups = registers.groups
        self._map = registers
        self._registers = RegisterFile(registers)
        self._memories = Memories(
            data=DataMemory(registers.memory("data"), groups),
            kernels=KernelMemory(registers.memory("kernel"), groups),
            bias=PlainMemory(registers.memory("bias"), groups, BYTE),
            tram=PlainMemory(registers.memory("tram"), groups, WORD),
        )
        self._findings = Findings(strict)
        self._causes = Causes()
        self._control = Control(self._registers, self._memories, self._findings, self._causes)

    @property
    def idle(self) -> bool:
        """True when the state machine is not running: never started, finished, or paused."""
        return self._control.idle

    @property
    def interrupt(self) -> bool:
        """True from the end of a run until software clears CTL[12] of every group."""
        return any(self._registers.field("CTL", "done", group) for group in range(self._map.groups))

    @property
    def layers(self) -> list[LayerTrace]:
        """The layers of the last run, in order of execution."""
        return self._control.traces

    @property
    def findings(self) -> list[Finding]:
        """What the sanitizer saw, in order, each once."""
        return list(self._findings)

    def write(self, address: int, value: int) -> None:
        """Write one 32-bit word."""
        place = self._map.locate(address)
        if place is not None:
            self._write_register(place, address, value & WORD)
            return
        self.write_block(address, (value,))

    def write_byte(self, address: int, value: int) -> None:
        """Write one byte; in the kernel memory 1 at `address | 1` starts the packed loader."""
        found = self._map.locate_memory(address & ~3)
        if found and found.memory.name == "kernel" and self._express(found.group):
            if value == 1 and address & 3 == 1:
                self._memories.kernels.select(_instance(found), found.word)
            return
        shift = 8 * (address & 3)
        word = self._peek(address & ~3) & ~(BYTE << shift)
        self.write(address & ~3, word | (value & BYTE) << shift)

    def write_block(self, address: int, words: Iterable[int] | Words) -> None:
        """Write words to consecutive addresses."""
        values = np.asarray(words if isinstance(words, np.ndarray) else list(words))
        values = (values.astype(np.int64) & WORD).astype(np.uint32)
        while len(values):
            found = self._map.locate_memory(address)
            if found is None:
                self._write_single(address, int(values[0]))
                count = 1
            else:
                count = min(len(values), found.memory.size(found.instance) - found.word)
                self._write_memory(found, values[:count])
            address += LANES * count
            values = values[count:]

    def read(self, address: int) -> int:
        """Read one 32-bit word."""
        place = self._map.locate(address)
        if place is not None:
            return self._read_register(place)
        return int(self.read_block(address, 1)[0])

    def read_block(self, address: int, count: int) -> Words:
        """Read words from consecutive addresses."""
        parts = [np.zeros(0, np.uint32)]
        while count > 0:
            found = self._map.locate_memory(address)
            if found is None:
                parts.append(np.array([self._read_single(address)], np.uint32))
            else:
                here = min(count, found.memory.size(found.instance) - found.word)
                self._check_read(found, address, here)
                parts.append(self._read_memory(found, here))
            address += LANES * len(parts[-1])
            count -= len(parts[-1])
        return np.concatenate(parts)

    def reset(self, groups: Iterable[int]) -> None:
        """Put groups into the state of power-up, as the reset line does; memories keep words."""
        for group in groups:
            self._registers.reset(group)

    def push(self, fifo: int, word: int) -> None:
        """Push one word into an input FIFO; the fast FIFO is FIFO 0."""
        self._control.push(fifo, word & WORD)

    # --- memories

    def _write_single(self, address: int, value: int) -> None:
        place = self._map.locate(address)
        if place is None:
            self._unknown(address, "written")
        else:
            self._write_register(place, address, value)

    def _read_single(self, address: int) -> int:
        place = self._map.locate(address)
        if place is not None:
            return self._read_register(place)
        self._unknown(address, "read")
        return 0

    def _unknown(self, address: int, verb: str) -> None:
        first = min(memory.base for memory in self._map.memories.values())
        group, offset = divmod(address - first, self._map.group_stride)
        last = max(m.base + m.instances * m.stride for m in self._map.memories.values())
        inside = 0 <= group < self._map.groups and offset < last - first
        kind: Kind = "outside-memory" if inside else "unknown-register"
        what = "a word between the memories" if inside else "no register is there, it"
        self._findings.add(Finding(kind, f"{what} was {verb}", address))

    def _write_memory(self, found: MemoryPlace, values: Words) -> None:
        instance = _instance(found)
        match found.memory.name:
            case "data":
                self._memories.data.load(instance, found.word, values, self._control.load_event)
            case "kernel" if self._packed(found):
                lost = self._memories.kernels.load_packed(instance, values)
                if lost:
                    message = f"{lost} packed columns leave the memory of processor {instance}"
                    self._findings.add(Finding("outside-memory", message))
            case "kernel":
                self._memories.kernels.load_plain(instance, found.word, values)
            case "bias":
                self._memories.bias.load(instance, found.word, values)
            case _:
                self._memories.tram.load(instance, found.word, values)

    def _read_memory(self, found: MemoryPlace, count: int) -> Words:
        instance, where = _instance(found), slice(found.word, found.word + count)
        match found.memory.name:
            case "data":
                return self._memories.data.words[instance, where].copy()
            case "kernel":
                return self._memories.kernels.read(instance, found.word, count)
            case "bias":
                return self._memories.bias.words[instance, where].copy()
            case _:
                return self._memories.tram.words[instance, where].copy()

    def _check_read(self, found: MemoryPlace, address: int, count: int) -> None:
        """Report a read of data that no program determined."""
        if found.memory.name != "data":
            return
        state = self._memories.data.state[_instance(found), found.word : found.word + count]
        bad = np.nonzero(state != DEFINED)[0]
        if not bad.size:
            return
        cause = self._causes.of(int(state[bad[0]]))
        at = address + LANES * int(bad[0])
        if cause is None:
            self._findings.add(Finding("uninitialised", "read a word never written", at))
        else:
            self._findings.add(Finding(cause.kind, cause.message, at, cause.layer))

    def _express(self, group: int) -> bool:
        return bool(self._registers.field("CTL", "express", group))

    def _packed(self, found: MemoryPlace) -> bool:
        kernels = self._memories.kernels
        return self._express(found.group) and kernels.expects(_instance(found), found.word)

    def _peek(self, address: int) -> int:
        """A word without the sanitizer, for byte writes."""
        found = self._map.locate_memory(address)
        if found is not None:
            return int(self._read_memory(found, 1)[0])
        place = self._map.locate(address)
        return 0 if place is None else self._registers.read(place)

    # --- registers

    def _write_register(self, place: Place, address: int, value: int) -> None:
        reserved = value & ~place.register.used
        if reserved:
            message = f"bits {reserved:#x} of `{place.register.name}` belong to no field"
            self._findings.add(Finding("reserved-bits", message, address, place.layer))
        before = self._registers.read(place)
        self._registers.write(place, value)
        match place.register.name:
            case "CTL":
                self._control.write_ctl(place.group or 0, before, value)
            case "SRAM_TEST":
                self._control.self_test(place.group or 0)
            case "FIFO_DATA":
                self.push(place.index, value)
            case "FAST_FIFO_DR":
                self.push(0, value)

    def _read_register(self, place: Place) -> int:
        if place.register.name == "MLAT":
            return self._control.read_mlator(place.group or 0)
        return self._registers.read(place)


def _instance(found: MemoryPlace) -> int:
    """The instance over all groups."""
    return found.group * found.memory.instances + found.instance
