"""Counting the instructions of functions, with those of the functions that they call."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Call:
    name: str
    back: int
    before: int


class Profile:
    """Follows calls block by block; a block is a run of instructions without a branch.

    `calls` and `spent` are the calls and the instructions of each function by name. The time of an
    interrupt handler counts for the handler alone.
    """

    def __init__(self, functions: Mapping[int, str], *, riscv: bool = False) -> None:
        self._riscv = riscv
        self.instructions = 0
        self.calls: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self.places = dict(functions)
        self.lengths: dict[tuple[int, int], int] = {}
        self._starts = sorted(functions)
        self._stack: list[_Call] = []

    def function(self, address: int) -> str:
        """Return the function that an address lies in."""
        at = bisect_right(self._starts, address)
        return self.places[self._starts[at - 1]] if at else "?"

    def measure(self, address: int, size: int, code: bytes) -> None:
        """Note how many instructions a block has.

        The first half-word tells the length of an instruction; Armv7-M, A5.1, and the RISC-V
        instruction set manual, 1.5.
        """
        count, at = 0, 0
        while at < size:
            wide = code[at] & 3 == 3 if self._riscv else code[at + 1] >> 3 >= 0b11101
            at += 4 if wide else 2
            count += 1
        self.lengths[address, size] = count

    def enter(self, address: int, back: int) -> None:
        """Note a call that will return to the address `back`."""
        name = self.places[address]
        self.leave(address)
        self.calls[name] += 1
        self._stack.append(_Call(name, back, self.instructions))

    def count(self, address: int, size: int) -> None:
        """Count a block that is about to run."""
        self.leave(address)
        self.instructions += self.lengths[address, size]

    def leave(self, address: int) -> None:
        """Note that the core is at `address`: calls that return there have ended."""
        while self._stack and self._stack[-1].back == address:
            call = self._stack.pop()
            self.spent[call.name] += self.instructions - call.before
