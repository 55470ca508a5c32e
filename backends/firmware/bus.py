"""The accelerator as the core sees it: single accesses, gathered into blocks for the emulator."""

from __future__ import annotations

from ai8xc.backends.emulator import Emulator
from ai8xc.registers import RegisterMap

WORD_BYTES = 4


class Bus:
    """Passes accesses of the core on to the emulator, in order.

    Words written to consecutive addresses of a memory are handed over as one block, at the latest
    before the next access of any other kind.
    """

    def __init__(self, emulator: Emulator, registers: RegisterMap) -> None:
        self.emulator = emulator
        self.writes = 0
        self.reads = 0
        self._registers = registers
        self._start = 0
        self._next = -1
        self._words: list[int] = []

    def write(self, address: int, size: int, value: int) -> None:
        """Write a word, or a byte."""
        self.writes += 1
        if size != WORD_BYTES:
            self.flush()
            for i in range(size):
                self.emulator.write_byte(address + i, value >> 8 * i & 255)
        elif address == self._next:
            self._words.append(value)
            self._next = address + WORD_BYTES
        else:
            self.flush()
            if self._registers.locate(address) is not None:
                self.emulator.write(address, value)
                return
            self._start, self._next, self._words = address, address + WORD_BYTES, [value]

    def read(self, address: int, size: int) -> int:
        """Read a word, or a part of one."""
        self.reads += 1
        self.flush()
        word = self.emulator.read(address & ~3)
        return word >> 8 * (address & 3) & (1 << 8 * size) - 1

    def flush(self) -> None:
        """Hand over what was written."""
        if self._words:
            self.emulator.write_block(self._start, self._words)
            self._words, self._next = [], -1
