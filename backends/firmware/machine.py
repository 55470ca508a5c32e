"""The emulated chip: a Cortex-M4 that runs a compiled project, with the accelerator on its bus.

In projects for the RISC-V core it starts that one, which then runs until it is done.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator import Emulator
from ai8xc.backends.emulator.findings import Finding
from ai8xc.backends.emulator.trace import LayerTrace
from ai8xc.backends.firmware.build import FLASH, RAM, Firmware
from ai8xc.backends.firmware.bus import Bus
from ai8xc.backends.firmware.chip import (
    BOOT_ADDRESS,
    EXIT,
    RESET,
    RISCV_EXIT,
    RISCV_INTERRUPTS,
    Chip,
)
from ai8xc.backends.firmware.core import RISCV, Core, CoreError, Memory
from ai8xc.backends.firmware.profile import Profile
from ai8xc.device import load_device
from ai8xc.registers import load_registers

Words = NDArray[np.uint32]

PERIPHERALS: Final = (0x4000_0000, 0x4_0000)
FAST_FIFO: Final = (0x400C_0000, 0x1000)
ACCELERATOR: Final = (0x5000_0000, 0x500_0000)
SYSTEM: Final = (0xE000_E000, 0x1000)
ENABLE_REGISTER: Final = 0xE000_E100
NOWHERE: Final = 0
RETURN: Final = SYSTEM[0]
"""Where functions that nothing in the firmware calls return to; never executed."""

EXCEPTION_RETURN: Final = 0xFFFF_FFF9
"""Back to thread mode on the main stack; Armv7-M architecture reference, B1.5.8."""

CNN_INTERRUPT: Final = 16
RISCV_INTERRUPT: Final = 17
FIRST_INTERRUPT: Final = 16
MAX_INSTRUCTIONS: Final = 2_000_000_000
FRAME: Final = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr")
"""What the core saves on exception entry, lowest address first."""


class MachineError(Exception):
    """The firmware did something that stops a processor."""


class Machine:
    """A chip with the firmware loaded; `run` executes it to its end."""

    def __init__(self, firmware: Firmware, device: str) -> None:
        clocks = load_device(device).clocks
        self.emulator = Emulator(device)
        self.profile = Profile(firmware.functions)
        self.chip = Chip(self._now, self._wait, self._text)
        self.bus = Bus(self.emulator, load_registers(device))
        self.findings: dict[Finding, None] = {}
        self._firmware = firmware
        self._mhz = clocks.system
        self._cnn_mhz = clocks.pll or clocks.apb
        self._memory = {
            FLASH: Memory(firmware.machine.flash),
            RAM: Memory(firmware.machine.ram),
        }
        self._core = Core()
        self._second = _RiscV(self, firmware.second) if firmware.second else None
        self._slept = 0
        self._ends: int | None = None
        self._in_handler = False
        self._map()

    @property
    def output(self) -> str:
        """What the firmware printed."""
        return "".join(self.chip.output)

    @property
    def network_profile(self) -> Profile:
        """The profile of the core that runs the network."""
        return self._second.profile if self._second else self.profile

    @property
    def prefix(self) -> str:
        """What names in C begin with, nothing for the usual ones."""
        return self._firmware.prefix

    @property
    def size(self) -> Firmware:
        """The firmware, which knows its size."""
        return self._firmware

    def words(self, symbol: str, count: int) -> Words:
        """Return words of memory from a variable of the firmware on."""
        return np.frombuffer(self._core.memory(self.symbol(symbol), 4 * count), "<u4")

    @property
    def unloads(self) -> bool:
        """Whether `main` has a buffer of outputs, which `cnn_unload` fills."""
        return "outputs" in self._of_network.symbols

    @property
    def _of_network(self) -> Firmware:
        """The program that holds the network."""
        return self._firmware.second or self._firmware

    def symbol(self, name: str) -> int:
        """Return the address of a variable or constant of the program that holds the network."""
        return self._of_network.symbols[name]

    def run(self) -> int:
        """Execute until `main` returns; returns its status.

        Raises MachineError where the core would fault, or sleep for ever.
        """
        self._core["sp"] = self._core.word(FLASH)
        at = self._firmware.entry
        while self.chip.status is None:
            self._execute(at, NOWHERE)
            if self.chip.status is not None:
                break
            self._stopped()
            at = self._core["pc"]
        self.bus.flush()
        return self.chip.status or self.chip.riscv_status or 0

    def call(self, function: str, *arguments: int) -> int:
        """Call a function of the network, on the core that runs it; returns its result."""
        if self._second:
            return self._second.call(function, *arguments)
        self.chip.status = None
        core = self._core
        core["sp"] = core.word(FLASH)
        core["lr"] = RETURN | 1
        for register, value in zip(FRAME, arguments, strict=False):
            core[register] = value
        at = self._firmware.symbols[function] & ~1
        while at != RETURN:
            self._execute(at, RETURN)
            at = core["pc"]
            if at != RETURN:
                self._stopped()
                at = core["pc"]
        self.profile.leave(RETURN)
        self.bus.flush()
        return core["r0"]

    def wait(self) -> None:
        """Let the time of a started network pass, and its interrupt come."""
        if self._ends is None:
            raise MachineError("the network does not finish")
        self.sleep()
        if self._second:
            self._second.interrupt()
        else:
            self._interrupt(CNN_INTERRUPT)

    def store(self, symbol: str, words: Words) -> None:
        """Put words into a variable or a constant of the firmware."""
        self._core.load(self.symbol(symbol), words.astype("<u4").tobytes())

    # --- time, in instructions: one a clock

    @property
    def _clock(self) -> int:
        second = self._second.profile.instructions if self._second else 0
        return self.profile.instructions + second + self._slept

    def _now(self) -> int:
        return self._clock // self._mhz

    @property
    def due(self) -> bool:
        """Whether the accelerator is done and its interrupt was not taken yet."""
        return self._ends is not None and self._clock >= self._ends

    @property
    def running(self) -> bool:
        """Whether the accelerator computes, or its interrupt was not taken yet."""
        return self._ends is not None

    def sleep(self) -> None:
        """Let time pass until the accelerator is done."""
        assert self._ends is not None
        self._slept += max(0, self._ends - self._clock)

    def taken(self) -> None:
        """Its interrupt was taken."""
        self._ends = None

    def _wait(self, microseconds: int) -> None:
        self._slept += microseconds * self._mhz

    def _text(self, address: int, count: int) -> bytes:
        return self._core.memory(address, count)

    # --- interrupts

    def _stopped(self) -> None:
        """Go on after a sleep, or after a stop for an interrupt."""
        place = self.profile.function(self._core["pc"])
        if self.profile.instructions > MAX_INSTRUCTIONS:
            raise MachineError(f"the firmware does not end; it is in `{place}`")
        if self._second and self.chip.riscv_runs:
            self._second.run(self.chip.words[BOOT_ADDRESS])
        if self._woken:
            if not self._masked:
                self._interrupt(RISCV_INTERRUPT)
            return
        if self._ends is None:
            raise MachineError(f"the firmware sleeps for ever in `{place}`")
        self.sleep()
        if not self._masked:
            self._interrupt(CNN_INTERRUPT)

    @property
    def _woken(self) -> bool:
        return self._second is not None and self.chip.wakes_arm

    @property
    def _masked(self) -> bool:
        return bool(self._core["primask"] & 1)

    def _interrupt(self, number: int) -> None:
        """Enter the handler as the core does, run it, and return from it."""
        self._ends = None
        core = self._core
        if not core.word(ENABLE_REGISTER) >> number & 1:
            raise MachineError(f"interrupt {number} is not enabled")
        table = self._firmware.symbols["machine_vectors"]
        handler = core.word(table + 4 * (FIRST_INTERRUPT + number))
        before = core["sp"]
        frame = (before - 4 * len(FRAME)) & ~7
        core.load(frame, b"".join(core[name].to_bytes(4, "little") for name in FRAME))
        core["sp"] = frame
        core["lr"] = EXCEPTION_RETURN
        self._in_handler = True
        self._execute(handler, EXCEPTION_RETURN & ~1)
        self._in_handler = False
        if core["sp"] != frame:
            raise MachineError("the interrupt handler leaves the stack unbalanced")
        for place, name in enumerate(FRAME):
            core[name] = core.word(frame + 4 * place)
        core["sp"] = before

    def _execute(self, start: int, stop: int) -> None:
        try:
            self._core.run(start, stop)
        except CoreError as error:
            at = self._core["pc"]
            if at == stop != NOWHERE:
                return  # nothing can be executed there, and unicorn knows no exception returns
            place = self.profile.function(at)
            raise MachineError(f"the core faults in `{place}` at {at:#x}: {error}") from error

    # --- memory

    def _map(self) -> None:
        core = self._core
        core.ram(*SYSTEM)
        self.connect(core)
        for segment in self._firmware.segments:
            core.load(segment.address, segment.data)
        core.each_block(self._block)

    def connect(self, core: Core) -> None:
        """Put a core on the bus of the chip."""
        core.share(FLASH, self._memory[FLASH], writable=False)
        core.share(RAM, self._memory[RAM], writable=True)

        def write_chip(address: int, _size: int, value: int) -> None:
            self.chip.write(address, value)
            if address in (EXIT, RISCV_EXIT):
                core.stop()
            elif address == RESET:
                self.bus.flush()
                self.emulator.reset(group for group in range(4) if value >> group & 1)

        core.ports(*PERIPHERALS, self._read_chip, write_chip)
        for area in (FAST_FIFO, ACCELERATOR):
            core.ports(*area, self.bus.read, self._write_cnn)

    def _block(self, address: int, size: int) -> None:
        profile = self.profile
        if (address, size) not in profile.lengths:
            profile.measure(address, size, self._core.memory(address, size))
        if address in profile.places:
            profile.enter(address, self._core["lr"] & ~1)
        due = (self.due or self._woken) and not self._in_handler
        if profile.instructions > MAX_INSTRUCTIONS or (due and not self._masked):
            self._core.stop()
            return
        profile.count(address, size)

    def _read_chip(self, address: int, _size: int) -> int:
        return self.chip.read(address)

    def _write_cnn(self, address: int, size: int, value: int) -> None:
        running = not self.emulator.interrupt
        self.bus.write(address, size, value)
        if running and self.emulator.interrupt:
            self._started()

    def _started(self) -> None:
        """The network has run inside this write: the interrupt follows when its time is over."""
        groups = {memory // 4 for layer in self.emulator.layers for memory in layer.read.memories}
        self.findings |= dict.fromkeys(self.chip.unpowered(groups))
        cycles = sum(_cycles(layer) for layer in self.emulator.layers)
        self._ends = self._clock + cycles * self._mhz // self._cnn_mhz + 1


def _cycles(layer: LayerTrace) -> int:
    """Return the cycles of a layer; one for each value of its output where no model is known."""
    return layer.output.size if layer.cycles is None else layer.cycles


class _RiscV:
    """The RISC-V core of a chip; its interrupts are those of the privileged architecture, 3.1."""

    ENABLED, WAS_ENABLED, MACHINE_MODE = 1 << 3, 1 << 7, 3 << 11
    CAUSE = 1 << 31

    def __init__(self, chip: Machine, firmware: Firmware) -> None:
        self.profile = Profile(firmware.functions, riscv=True)
        self._chip = chip
        self._firmware = firmware
        self._core = Core(RISCV)
        chip.connect(self._core)
        self._core.each_block(self._block)

    def run(self, start: int) -> None:
        """Execute from `start` until the program is done."""
        core, chip, at = self._core, self._chip, start
        while chip.chip.riscv_status is None:
            self._execute(at, NOWHERE)
            if chip.chip.riscv_status is None:
                at = self._stopped(core["pc"])

    def call(self, function: str, *arguments: int) -> int:
        """Call a function that nothing in the firmware calls; returns its result."""
        core, symbols = self._core, self._firmware.symbols
        core["sp"], core["mtvec"] = symbols["stack_top"], symbols["riscv_vectors"] | 1
        core["ra"] = RETURN
        for register, value in zip(("a0", "a1", "a2", "a3"), arguments, strict=False):
            core[register] = value
        self._until_return(symbols[function] & ~1)
        self.profile.leave(RETURN)
        self._chip.bus.flush()
        return core["a0"]

    def interrupt(self) -> None:
        """Let the interrupt of the accelerator come, and its handler end."""
        self._until_return(self._entered(RETURN))

    def _until_return(self, at: int) -> None:
        while at != RETURN:
            self._execute(at, RETURN)
            at = self._core["pc"]
            if at != RETURN:
                at = self._stopped(at)

    def _execute(self, start: int, stop: int) -> None:
        try:
            self._core.run(start, stop)
        except CoreError as error:
            at = self._core["pc"]
            if at == stop != NOWHERE:
                return  # nothing can be executed there
            place = self.profile.function(at)
            raise MachineError(f"the RISC-V core faults in `{place}`: {error}") from error

    def _stopped(self, at: int) -> int:
        """Return where to go on after a sleep, or after a stop for an interrupt."""
        place = self.profile.function(at)
        if self.profile.instructions > MAX_INSTRUCTIONS:
            raise MachineError(f"the firmware does not end; it is in `{place}`")
        if not self._chip.running:
            raise MachineError(f"the RISC-V core sleeps for ever in `{place}`")
        self._chip.sleep()
        return self._entered(at) if self._core["mstatus"] & self.ENABLED else at

    def _entered(self, at: int) -> int:
        """Take the interrupt of the accelerator; return where its handler begins."""
        if not self._chip.chip.words.get(RISCV_INTERRUPTS, 0) >> CNN_INTERRUPT & 1:
            raise MachineError("the interrupt of the accelerator is not enabled")
        self._chip.taken()
        core = self._core
        core["mepc"], core["mcause"] = at, self.CAUSE | CNN_INTERRUPT
        core["mstatus"] = self.MACHINE_MODE | self.WAS_ENABLED
        return (core["mtvec"] & ~3) + 4 * CNN_INTERRUPT

    def _block(self, address: int, size: int) -> None:
        profile = self.profile
        if (address, size) not in profile.lengths:
            profile.measure(address, size, self._core.memory(address, size))
        due = self._chip.due and self._core["mstatus"] & self.ENABLED
        if profile.instructions > MAX_INSTRUCTIONS or due:
            self._core.stop()
            return
        if address in profile.places:
            profile.enter(address, self._core["ra"] & ~1)
        profile.count(address, size)
