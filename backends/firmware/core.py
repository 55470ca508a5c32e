"""The cores themselves, Cortex-M4 and RISC-V: the one module that knows unicorn."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

ReadPort = Callable[[int, int], int]
"""Takes address and size in bytes."""
WritePort = Callable[[int, int, int], None]
"""Takes address, size in bytes, and value."""
BlockHook = Callable[[int, int], None]
"""Takes address and size in bytes of a block that is about to run."""

PAGE: Final = 4096


@dataclass(frozen=True)
class Architecture:
    """How unicorn names a core and its registers; `entry` is set in addresses of code."""

    name: str
    modes: tuple[str, ...]
    model: str
    registers: tuple[str, ...]
    entry: int = 0


ARM: Final = Architecture(
    "ARM",
    ("THUMB", "MCLASS"),
    "ARM_CORTEX_M4",
    ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr", "sp", "primask"),
    entry=1,
)
RISCV: Final = Architecture(
    "RISCV",
    ("RISCV32",),
    "RISCV32_ANY",
    ("pc", "ra", "sp", "a0", "a1", "a2", "a3", "mepc", "mstatus", "mtvec", "mcause"),
)


class CoreError(Exception):
    """The core faulted."""


class Memory:
    """Memory that several cores can see."""

    def __init__(self, size: int) -> None:
        self.size = -(-size // PAGE) * PAGE
        self._bytes = mmap.mmap(-1, self.size)
        self.place = ctypes.addressof(ctypes.c_char.from_buffer(self._bytes))


class Core:
    """A processor with its memories."""

    def __init__(self, architecture: Architecture = ARM) -> None:
        import importlib

        import unicorn

        names: dict[str, Any] = vars(unicorn)
        found = importlib.import_module(f"unicorn.{architecture.name.lower()}_const")
        constants: dict[str, Any] = vars(found)
        self._unicorn = unicorn
        self._entry = architecture.entry
        self._shared: list[Memory] = []
        mode = sum(names[f"UC_MODE_{mode}"] for mode in architecture.modes)
        self._core = unicorn.Uc(names[f"UC_ARCH_{architecture.name}"], mode)
        self._core.ctl_set_cpu_model(constants[f"UC_CPU_{architecture.model}"])
        prefix = f"UC_{architecture.name}_REG_"
        self._numbers = {name: constants[prefix + name.upper()] for name in architecture.registers}

    def ram(self, address: int, size: int) -> None:
        """Add memory of its own."""
        self._core.mem_map(address, -(-size // PAGE) * PAGE)

    def share(self, address: int, memory: Memory, *, writable: bool) -> None:
        """Add memory that other cores see too; `writable` by the program."""
        access = self._unicorn.UC_PROT_READ | self._unicorn.UC_PROT_EXEC
        access |= self._unicorn.UC_PROT_WRITE if writable else 0
        self._shared.append(memory)
        self._core.mem_map_ptr(address, memory.size, access, memory.place)

    def ports(self, address: int, size: int, read: ReadPort, write: WritePort) -> None:
        """Add addresses that functions answer."""

        def on_read(_core: object, offset: int, width: int, _: object) -> int:
            return read(address + offset, width)

        def on_write(_core: object, offset: int, width: int, value: int, _: object) -> None:
            write(address + offset, width, value)

        self._core.mmio_map(address, size, on_read, None, on_write, None)

    def each_block(self, hook: BlockHook) -> None:
        """Call a function before each run of instructions without a branch."""

        def on_block(_core: object, address: int, size: int, _: object) -> None:
            hook(address, size)

        self._core.hook_add(self._unicorn.UC_HOOK_BLOCK, on_block)

    def __getitem__(self, register: str) -> int:
        """The value of a register."""
        return int(self._core.reg_read(self._numbers[register]))

    def __setitem__(self, register: str, value: int) -> None:
        """Set a register."""
        self._core.reg_write(self._numbers[register], value)

    def load(self, address: int, data: bytes) -> None:
        """Fill memory, flash too."""
        self._core.mem_write(address, data)

    def memory(self, address: int, count: int) -> bytes:
        """Return bytes of memory."""
        return bytes(self._core.mem_read(address, count))

    def word(self, address: int) -> int:
        """Return a word of memory."""
        return int.from_bytes(self.memory(address, 4), "little")

    def run(self, start: int, stop: int) -> None:
        """Execute code until it sleeps, is stopped, or reaches `stop`.

        Raises CoreError where it faults.
        """
        try:
            self._core.emu_start(start | self._entry, stop)
        except self._unicorn.UcError as error:
            raise CoreError(str(error)) from None

    def stop(self) -> None:
        """Stop before the next block."""
        self._core.emu_stop()
