"""The Cortex-M4 itself: the one module that knows unicorn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

ReadPort = Callable[[int, int], int]
"""Takes address and size in bytes."""
WritePort = Callable[[int, int, int], None]
"""Takes address, size in bytes, and value."""
BlockHook = Callable[[int, int], None]
"""Takes address and size in bytes of a block that is about to run."""

PAGE: Final = 4096
REGISTERS: Final = ("r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr", "sp", "primask")


class CoreError(Exception):
    """The core faulted."""


class Core:
    """A processor with its memories."""

    def __init__(self) -> None:
        import unicorn
        from unicorn import arm_const

        self._unicorn = unicorn
        self._core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._core.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M4)
        prefix = "UC_ARM_REG_"
        self._numbers = {name: vars(arm_const)[prefix + name.upper()] for name in REGISTERS}

    def ram(self, address: int, size: int) -> None:
        """Add memory."""
        self._core.mem_map(address, -(-size // PAGE) * PAGE)

    def flash(self, address: int, size: int) -> None:
        """Add memory that the program cannot write."""
        readable = self._unicorn.UC_PROT_READ | self._unicorn.UC_PROT_EXEC
        self._core.mem_map(address, -(-size // PAGE) * PAGE, readable)

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
        """Execute Thumb code until it sleeps, is stopped, or reaches `stop`.

        Raises CoreError where it faults.
        """
        try:
            self._core.emu_start(start | 1, stop)
        except self._unicorn.UcError as error:
            raise CoreError(str(error)) from None

    def stop(self) -> None:
        """Stop before the next block."""
        self._core.emu_stop()
