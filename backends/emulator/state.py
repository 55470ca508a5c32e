"""The registers of all groups as stored words, with fields by name."""

import numpy as np
from numpy.typing import NDArray

from ai8xc.registers import Place, RegisterMap


class RegisterFile:
    """The value of every register copy; a register that was never written is 0.

    `version` changes whenever a write changes a register other than CTL.
    """

    def __init__(self, registers: RegisterMap) -> None:
        self.map = registers
        self.version = 0
        self._words: dict[str, NDArray[np.int64]] = {
            name: np.zeros((registers.groups, register.count), np.int64)
            for name, register in registers.registers.items()
        }

    def write(self, place: Place, value: int) -> None:
        """Store a word."""
        words, where = self._words[place.register.name], (place.group or 0, place.index)
        if words[where] != value and place.register.name != "CTL":
            self.version += 1
        words[where] = value

    def read(self, place: Place) -> int:
        """The stored word."""
        return int(self._words[place.register.name][place.group or 0, place.index])

    def word(self, register: str, group: int = 0, index: int = 0) -> int:
        """The stored word of a register by name; 0 where the device lacks it."""
        words = self._words.get(register)
        if words is None or index >= words.shape[1]:
            return 0
        return int(words[group, index])

    def field(self, register: str, name: str, group: int = 0, index: int = 0) -> int:
        """A field by name; 0 where the device lacks the register or the field."""
        if not self.map.has(register):
            return 0
        found = self.map.register(register).fields.get(name)
        return found.of(self.word(register, group, index)) if found else 0

    def set_field(self, register: str, name: str, value: int, group: int = 0) -> None:
        """Change one field of a group's register, as the hardware does with status bits."""
        found = self.map.register(register).field(name)
        word = self.word(register, group) & ~found.mask
        self._words[register][group, 0] = word | (value << found.low)

    def reset(self, group: int) -> None:
        """Zero all registers of a group."""
        self.version += 1
        for name, register in self.map.registers.items():
            if register.per_group:
                self._words[name][group] = 0

    def clear_layers(self, group: int) -> None:
        """Zero the layer and streaming registers of a group."""
        self.version += 1
        for name, register in self.map.registers.items():
            if register.scope in ("layer", "stream"):
                self._words[name][group] = 0
