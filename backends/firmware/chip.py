"""The registers around the accelerator: clocks, power, timer and the ports of the machine.

A model, not the chip: addresses are those of the stand-in SDK (`runtime_c/sdk`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ai8xc.backends.emulator.findings import Finding

GCR: Final = 0x4000_0000
POWER: Final = 0x4000_5800
TIMERS: Final = (0x4001_0000, 0x4001_1000, 0x4001_2000, 0x4001_3000)
DELAY: Final = 0x4000_F000
TEXT: Final = 0x4000_F004
PRINT: Final = 0x4000_F008
EXIT: Final = 0x4000_F00C
RISCV_EXIT: Final = 0x4000_F010
RISCV_INTERRUPTS: Final = 0x4000_F014
BOOT_ADDRESS: Final = 0x4000_0800
SEMAPHORE: Final = 0x4003_E000

PCLKDIV, PCLKDIS, IPLL = GCR, GCR + 4, GCR + 8
CNN_CLOCK_OFF: Final = 1 << 25
RISCV_CLOCK_OFF: Final = 1 << 27
WAKE_ARM: Final = 0x1_0001
IPLL_ENABLED, IPLL_READY = 1, 2
SUPPLY, MEMORY, ISOLATION, RESET = (POWER + 4 * i for i in range(4))


@dataclass
class Chip:
    """Plain registers and the few that do something.

    `microseconds` tells the time, `read_text` reads memory of the cores, `wait` lets time pass.
    `status` and `riscv_status` are what the programs of the cores returned.
    """

    microseconds: Callable[[], int]
    wait: Callable[[int], None]
    read_text: Callable[[int, int], bytes]
    words: dict[int, int] = field(
        default_factory=lambda: {PCLKDIS: CNN_CLOCK_OFF | RISCV_CLOCK_OFF, ISOLATION: 0xF}
    )
    output: list[str] = field(default_factory=list)
    status: int | None = None
    riscv_status: int | None = None

    @property
    def riscv_runs(self) -> bool:
        """Whether the RISC-V core has a clock and has not finished."""
        return self.riscv_status is None and not self.words[PCLKDIS] & RISCV_CLOCK_OFF

    @property
    def wakes_arm(self) -> bool:
        """Whether the RISC-V core interrupts the Arm core."""
        return self.words.get(SEMAPHORE, 0) & WAKE_ARM == WAKE_ARM

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self.words[address] = value
        match address:
            case _ if address == DELAY:
                self.wait(value)
            case _ if address == PRINT:
                text = self.read_text(self.words.get(TEXT, 0), value)
                self.output.append(text.decode("utf-8", "replace"))
            case _ if address == EXIT:
                self.status = value
            case _ if address == RISCV_EXIT:
                self.riscv_status = value

    def read(self, address: int) -> int:
        """Read a register."""
        if address in TIMERS:
            return self.microseconds()
        word = self.words.get(address, 0)
        if address == IPLL and word & IPLL_ENABLED:
            word |= IPLL_READY
        return word

    def unpowered(self, groups: Iterable[int]) -> list[Finding]:
        """Return what is wrong with clock and power when these groups are accessed or started."""
        found = []
        if self.words.get(PCLKDIS, 0) & CNN_CLOCK_OFF:
            found.append("the clock of the accelerator is off")
        mask = sum(1 << group for group in groups)
        if mask & ~self.words.get(SUPPLY, 0):
            found.append("a group without power is used")
        if mask & ~self.words.get(MEMORY, 0):
            found.append("a group without power for its kernel memory is used")
        if mask & self.words.get(ISOLATION, 0):
            found.append("a group is used that is isolated")
        if self.words.get(RESET, 0):
            found.append("the accelerator is used while it is held in reset")
        return [Finding("control", text) for text in found]
