"""The accelerator as the bus sees it: every address can be written and read."""

from collections.abc import Iterable

import numpy as np

from ai8xc.backends.emulator.decode import Run, decode_run
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
from ai8xc.backends.emulator.sequencer import Sequencer
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.store import Causes
from ai8xc.backends.emulator.streaming import Fifos, fifo_sources
from ai8xc.backends.emulator.trace import LayerTrace
from ai8xc.device import canonical_name
from ai8xc.registers import MemoryPlace, Place, load_registers

WORD = 0xFFFF_FFFF
BYTE = 0xFF
MASTER = 0


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
        self._sequencer = Sequencer(self._registers, self._memories, self._findings, self._causes)
        self._fifos = Fifos()
        self._waiting: Run | None = None
        self._load_event = self._sequencer.next_event()
        self._mlator: dict[int, int] = {}

    @property
    def idle(self) -> bool:
        """True when the state machine is not running: never started, finished, or paused."""
        return self._waiting is None

    @property
    def interrupt(self) -> bool:
        """True from the end of a run until software clears CTL[12] of every group."""
        return any(self._registers.field("CTL", "done", group) for group in range(self._map.groups))

    @property
    def layers(self) -> list[LayerTrace]:
        """The layers of the last run, in order of execution."""
        return self._sequencer.traces

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

    def push(self, fifo: int, word: int) -> None:
        """Push one word into an input FIFO; the fast FIFO is FIFO 0."""
        self._fifos.push(fifo, word & WORD)
        self._continue_waiting()

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
        inside = any(
            memory.base <= address < memory.base + self._map.groups * memory.group_stride
            and (address - memory.base) % memory.group_stride < memory.instances * memory.stride
            for memory in self._map.memories.values()
        )
        kind: Kind = "outside-memory" if inside else "unknown-register"
        what = "a word behind the end of a memory" if inside else "no register is there, it"
        self._findings.add(Finding(kind, f"{what} was {verb}", address))

    def _write_memory(self, found: MemoryPlace, values: Words) -> None:
        instance = _instance(found)
        match found.memory.name:
            case "data":
                self._memories.data.load(instance, found.word, values, self._load_event)
            case "kernel" if self._express(found.group):
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
                self._control(place.group or 0, before, value)
            case "SRAM_TEST":
                self._self_test(place.group or 0)
            case "FIFO_DATA":
                self.push(place.index, value)
            case "FAST_FIFO_DR":
                self.push(0, value)

    def _read_register(self, place: Place) -> int:
        if place.register.name == "MLAT":
            return self._read_mlator(place.group or 0)
        return self._registers.read(place)

    def _control(self, group: int, before: int, value: int) -> None:
        """registers.md 3.1: byte transposer, start and continue."""
        ctl = self._map.register("CTL")
        if ctl.field("mlator").of(value):
            self._mlator[group] = -1
        else:
            self._mlator.pop(group, None)
        if group != MASTER or not ctl.field("enable").of(value):
            return
        pending = ctl.field("done").of(value)
        was_running = ctl.field("enable").of(before)
        if pending or self._waiting is not None:
            return  # the end of the last run was not acknowledged: nothing is left to continue
        if not was_running or (
            self._sequencer.position is not None and not ctl.field("done").of(before)
        ):
            self._start()

    def _start(self) -> None:
        if not self._registers.field("CTL", "clock_enable"):
            self._findings.add(Finding("control", "started with the clock of group 0 off"))
            return
        run = decode_run(self._registers)
        if self._sequencer.position is not None:
            self._run(run)
            return
        self._waiting = run
        self._continue_waiting()

    def _continue_waiting(self) -> None:
        """Run as soon as every FIFO holds its frame."""
        run = self._waiting
        if run is None:
            return
        sources = fifo_sources(self._registers, run)
        words = self._registers.field("IFRM", "words", run.master)
        if sources and not self._fifos.ready(sources, words):
            return
        self._waiting = None
        frame = None
        if sources:
            base = self._registers.field("RPTR_BASE", "word", run.master, run.first)
            frame = self._fifos.take(sources, words, len(self._memories.data.words), base)
        self._sequencer.start(run, frame)
        self._run(run)

    def _run(self, run: Run) -> None:
        one_shot = bool(self._registers.field("CTL", "one_shot"))
        self._sequencer.run(run, one_shot)
        self._load_event = self._sequencer.next_event()
        for group in run.groups:
            self._registers.set_field("CTL", "done", 1, group)

    def _self_test(self, group: int) -> None:
        """registers.md 3.4: clearing is done at once, the status says so."""
        selected = self._registers
        name = "SRAM_TEST"
        if selected.field(name, "zero_data", group):
            self._memories.data.clear(self._instances("data", group), self._load_event)
            selected.set_field(name, "data_done", 1, group)
        if selected.field(name, "zero_kernel", group):
            self._memories.kernels.clear(self._instances("kernel", group))
            selected.set_field(name, "kernel_done", 1, group)
        if selected.field(name, "zero_tram", group):
            self._memories.tram.clear(self._instances("tram", group))
            selected.set_field(name, "tram_done", 1, group)
        if selected.field(name, "zero_bias", group):
            self._memories.bias.clear(self._instances("bias", group))
            selected.set_field(name, "bias_done", 1, group)
        if selected.field(name, "clear_registers", group):
            selected.clear_layers(group)
        status = self._map.register(name).fields
        for field in ("registers_done", "all_done"):
            if field in status and selected.word(name, group):
                selected.set_field(name, field, 1, group)

    def _instances(self, memory: str, group: int) -> slice:
        count = self._map.memory(memory).instances
        return slice(group * count, (group + 1) * count)

    def _read_mlator(self, group: int) -> int:
        """Four pixels of one byte lane, the first read after the start returns nothing (5.10)."""
        position = self._mlator.get(group)
        if position is None:
            self._findings.add(Finding("control", "MLAT was read with the transposer off"))
            return 0
        data = self._memories.data
        step = self._registers.field("LCTL2", "increment", group) + 1
        pointer = self._registers.field("WPTR_BASE", "pointer", group)
        if position < 0:
            self._mlator[group] = 0
            return 0
        self._mlator[group] = position + LANES * step
        slot, word = pointer >> data.pointer_shift, pointer & ((1 << data.pointer_shift) - 1)
        memory = self._map.memory("data").instances * group + slot
        lane = self._registers.field("CTL", "mlator_lane", group)
        words, _ = data.read(np.array([memory]), word + position, LANES * step)
        return int.from_bytes(words[0, ::step, lane].tobytes(), "little")


def _instance(found: MemoryPlace) -> int:
    """The instance over all groups."""
    return found.group * found.memory.instances + found.instance
