"""What control registers do: start, continue and stop, self test, FIFO input, byte transposer."""

import numpy as np

from ai8xc.backends.emulator.decode import Run, decode_run
from ai8xc.backends.emulator.engine import Memories
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.memory import LANES
from ai8xc.backends.emulator.run_rules import check_run
from ai8xc.backends.emulator.sequencer import Sequencer
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.store import Causes
from ai8xc.backends.emulator.streaming import Fifos, fifo_sources
from ai8xc.backends.emulator.trace import LayerTrace

MASTER = 0  # the group whose start bit starts the state machine


class Control:
    """The part of the chip that reacts to writes of control registers."""

    def __init__(
        self, registers: RegisterFile, memories: Memories, findings: Findings, causes: Causes
    ) -> None:
        self._registers = registers
        self._memories = memories
        self._findings = findings
        self._sequencer = Sequencer(registers, memories, findings, causes)
        self._fifos = Fifos()
        self._waiting: Run | None = None
        self._cleared: set[int] = set()
        self._transposed: dict[int, int | None] = {}
        self.load_event = self._sequencer.next_event()

    @property
    def idle(self) -> bool:
        """False while a started run still expects FIFO words."""
        return self._waiting is None

    @property
    def traces(self) -> list[LayerTrace]:
        """The layers of the last run."""
        return self._sequencer.traces

    def push(self, fifo: int, word: int) -> None:
        """Add a FIFO word; the last one of a frame lets the run go on."""
        self._fifos.push(fifo, word)
        self._go_on()

    def write_ctl(self, group: int, before: int, value: int) -> None:
        """React to a CTL write (registers.md 3.1, 5.8).

        A start is a rising start bit of the master group. While the end of the last run is not
        acknowledged (CTL[12] written as 1 by a read-modify-write) there is nothing to continue;
        a one-shot run continues when the start bit is written again after the acknowledgement.
        """
        ctl = self._registers.map.register("CTL")
        enable, done = ctl.field("enable"), ctl.field("done")
        self._transposed.pop(group, None)
        if ctl.field("mlator").of(value):
            self._transposed[group] = None
        if group != MASTER or not enable.of(value) or done.of(value) or self._waiting:
            return
        continues = self._sequencer.position is not None and not done.of(before)
        if continues or not enable.of(before):
            self._start()

    def _start(self) -> None:
        if not self._registers.field("CTL", "clock_enable"):
            self._findings.add(Finding("control", "started with the clock of group 0 off"))
            return
        run = decode_run(self._registers)
        if self._sequencer.position is not None:
            self._run(run)
            return
        check_run(self._registers, run, self._cleared, self._findings)
        self._waiting = run
        self._go_on()

    def _go_on(self) -> None:
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
        self.load_event = self._sequencer.next_event()
        for group in run.groups:
            self._registers.set_field("CTL", "done", 1, group)

    def self_test(self, group: int) -> None:
        """React to SRAM_TEST (registers.md 3.4): memories clear at once, the status says so."""
        registers, name = self._registers, "SRAM_TEST"
        if not registers.word(name, group):
            return
        clear = {
            "data": lambda where: self._memories.data.clear(where, self.load_event),
            "kernel": self._memories.kernels.clear,
            "tram": self._memories.tram.clear,
            "bias": self._memories.bias.clear,
        }
        for memory, action in clear.items():
            if registers.field(name, f"zero_{memory}", group):
                count = registers.map.memory(memory).instances
                action(slice(group * count, (group + 1) * count))
                registers.set_field(name, f"{memory}_done", 1, group)
        if registers.field(name, "clear_registers", group):
            registers.clear_layers(group)
            self._cleared.add(group)
        for field in ("registers_done", "all_done"):
            if field in registers.map.register(name).fields:
                registers.set_field(name, field, 1, group)

    def read_mlator(self, group: int) -> int:
        """Four successive pixels of one byte lane; the first read returns none (registers.md 5.10).

        The pointer in WPTR_BASE of layer 0 counts from the first memory of the group.
        """
        if group not in self._transposed:
            self._findings.add(Finding("control", "MLAT was read with the transposer off"))
            return 0
        position = self._transposed[group]
        if position is None:
            self._transposed[group] = 0
            return 0
        data, registers = self._memories.data, self._registers
        step = registers.field("LCTL2", "increment", group) + 1
        self._transposed[group] = position + LANES * step
        pointer = registers.field("WPTR_BASE", "pointer", group) + position
        slot, word = pointer >> data.pointer_shift, pointer & ((1 << data.pointer_shift) - 1)
        memory = registers.map.memory("data").instances * group + slot
        if memory >= len(data.words):
            self._findings.add(Finding("outside-memory", "MLAT was read behind the last memory"))
            return 0
        words, _ = data.read(np.array([memory]), word, LANES * step)
        lane = registers.field("CTL", "mlator_lane", group)
        return int.from_bytes(words[0, ::step, lane].tobytes(), "little")
