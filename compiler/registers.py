"""The schema of a register map: names to addresses and fields to bits, both ways.

A map is data (`backends/<device>/registers.toml`); this module only reads it. Nothing here knows
what a register does.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

from ai8xc.data_files import read_registers

Scope = Literal["chip", "fifo", "group", "layer", "stream", "snooper"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

WORD_BITS = 32
WORD_BYTES = 4


class RegisterError(ValueError):
    """A register, field or value that the map does not hold."""


@dataclass(frozen=True, slots=True)
class Field:
    """Bits `high..low` of a register."""

    name: str
    low: int
    high: int
    meaning: str

    @property
    def limit(self) -> int:
        """The first value that does not fit."""
        return 1 << (self.high - self.low + 1)

    @property
    def mask(self) -> int:
        """The bits of this field, in place."""
        return (self.limit - 1) << self.low

    def of(self, word: int) -> int:
        """The value of this field in a register word."""
        return (word >> self.low) & (self.limit - 1)


@dataclass(frozen=True, slots=True)
class Register:
    """A register and its copies: one per group (unless `scope` is chip or fifo) and per index."""

    name: str
    scope: Scope
    base: int
    count: int
    stride: int
    source: str
    fields: Mapping[str, Field]

    @property
    def used(self) -> int:
        """The bits that belong to some field; the others are reserved."""
        mask = 0
        for field in self.fields.values():
            mask |= field.mask
        return mask

    @property
    def per_group(self) -> bool:
        """True when every group has its own copy."""
        return self.scope not in ("chip", "fifo")

    def field(self, name: str) -> Field:
        """The field called `name`; RegisterError when there is none."""
        if name not in self.fields:
            raise RegisterError(f"register `{self.name}` has no field `{name}`")
        return self.fields[name]

    def encode(self, **values: int) -> int:
        """The word with these field values; fields that are not named are 0.

        Raises RegisterError for an unknown field or a value that does not fit. A few fields share
        bits (the map says which); their values are combined with OR, as the hardware does.
        """
        word = 0
        for name, value in values.items():
            field = self.field(name)
            if not 0 <= value < field.limit:
                raise RegisterError(
                    f"{value} does not fit `{self.name}.{name}`, which holds 0 to {field.limit - 1}"
                )
            word |= int(value) << field.low
        return word

    def decode(self, word: int) -> dict[str, int]:
        """The value of every field in `word`, by name."""
        return {name: field.of(word) for name, field in self.fields.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Which copy of a register an address is; `group` is None outside the groups.

    `index` counts layers, streaming layers, FIFOs or snoopers, as the register's scope says.
    """

    register: Register
    group: int | None
    index: int

    @property
    def layer(self) -> int | None:
        """The hardware layer this copy belongs to, None for other registers."""
        return self.index if self.register.scope in ("layer", "stream") else None


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory of every group: `instances` blocks of `words` 32-bit words, `stride` bytes apart."""

    name: str
    base: int
    group_stride: int
    instances: int
    stride: int
    words: int
    large_words: int
    meaning: str

    def size(self, instance: int) -> int:
        """Words of one instance; instance 0 of a group can be larger than the others."""
        return self.large_words if instance == 0 else self.words

    def address(self, group: int, instance: int = 0, word: int = 0) -> int:
        """The byte address of a word; RegisterError when it lies outside the memory."""
        if not (0 <= instance < self.instances and 0 <= word < self.size(instance)):
            raise RegisterError(f"word {word} of instance {instance} is outside `{self.name}`")
        return self.base + group * self.group_stride + instance * self.stride + WORD_BYTES * word


@dataclass(frozen=True, slots=True)
class MemoryPlace:
    """Which word of which memory an address is."""

    memory: Memory
    group: int
    instance: int
    word: int


@dataclass(frozen=True)
class RegisterMap:
    """All registers and memories of one device."""

    device: str
    groups: int
    group_stride: int
    registers: Mapping[str, Register]
    memories: Mapping[str, Memory]

    @classmethod
    def load(cls, path: Path) -> "RegisterMap":
        """The map in a `registers.toml` file; RegisterError when the file contradicts itself."""
        return _map_from(tomllib.loads(path.read_text(encoding="utf-8")))

    def register(self, name: str) -> Register:
        """The register called `name`; RegisterError when there is none."""
        if name not in self.registers:
            raise RegisterError(f"{self.device} has no register `{name}`")
        return self.registers[name]

    def has(self, name: str) -> bool:
        """True when this device has the register."""
        return name in self.registers

    def memory(self, name: str) -> Memory:
        """The memory called `name`; RegisterError when there is none."""
        if name not in self.memories:
            raise RegisterError(f"{self.device} has no memory `{name}`")
        return self.memories[name]

    def encode(self, register: str, **values: int) -> int:
        """The word of `register` with these field values (see `Register.encode`)."""
        return self.register(register).encode(**values)

    def decode(self, register: str, word: int) -> dict[str, int]:
        """The field values of `register` in `word`, by name."""
        return self.register(register).decode(word)

    def address(self, register: str, group: int = 0, index: int = 0) -> int:
        """The byte address of one copy; `index` is the layer, FIFO or snooper number.

        Raises RegisterError when this copy does not exist.
        """
        found = self.register(register)
        if not 0 <= index < found.count:
            raise RegisterError(f"`{register}` has no copy {index}, only 0 to {found.count - 1}")
        if not 0 <= group < (self.groups if found.per_group else 1):
            raise RegisterError(f"`{register}` has no group {group}")
        return found.base + group * self.group_stride + index * found.stride

    def locate(self, address: int) -> Place | None:
        """The register copy at a byte address, None when no register is there."""
        return self._places.get(address)

    def locate_memory(self, address: int) -> MemoryPlace | None:
        """The memory word that holds a byte address, None when no memory is there."""
        for memory in self.memories.values():
            group, offset = divmod(address - memory.base, self.group_stride)
            instance, byte = divmod(offset, memory.stride)
            if not (0 <= group < self.groups and instance < memory.instances):
                continue
            if byte < WORD_BYTES * memory.size(instance):
                return MemoryPlace(memory, group, instance, byte // WORD_BYTES)
        return None

    @cached_property
    def _places(self) -> dict[int, Place]:
        places: dict[int, Place] = {}
        for register in self.registers.values():
            for group in range(self.groups) if register.per_group else (None,):
                start = register.base + (group or 0) * self.group_stride
                for index in range(register.count):
                    places[start + index * register.stride] = Place(register, group, index)
        return places


@cache
def load_registers(device: str) -> RegisterMap:
    """The register map of a known device, by its name (`max78000`)."""
    return _map_from(read_registers(device))


def _map_from(table: Mapping[str, object]) -> RegisterMap:
    groups = _integer(table, "groups")
    stride = _integer(table, "group_stride")
    registers = {
        name: _register(name, _table(entry)) for name, entry in _table(table["registers"]).items()
    }
    memories = {
        name: _memory(name, _table(entry), stride)
        for name, entry in _table(table["memories"]).items()
    }
    return RegisterMap(str(table["device"]), groups, stride, registers, memories)


def _register(name: str, table: Mapping[str, object]) -> Register:
    scope = _scope(name, table["scope"])
    fields = {field: _field(name, field, spec) for field, spec in _table(table["fields"]).items()}
    return Register(
        name=name,
        scope=scope,
        base=_integer(table, "address"),
        count=_integer(table, "count", 1),
        stride=_integer(table, "stride", WORD_BYTES),
        source=str(table["source"]),
        fields=fields,
    )


def _scope(register: str, value: object) -> Scope:
    for scope in SCOPES:
        if scope == value:
            return scope
    raise RegisterError(f"register `{register}` has the unknown scope `{value}`")


def _field(register: str, name: str, spec: object) -> Field:
    match spec:
        case [int(low), int(high), str(meaning)] if 0 <= low <= high < WORD_BITS:
            return Field(name, low, high, meaning)
        case _:
            raise RegisterError(f"field `{register}.{name}` is not [low, high, meaning]")


def _memory(name: str, table: Mapping[str, object], group_stride: int) -> Memory:
    words = _integer(table, "words")
    return Memory(
        name=name,
        base=_integer(table, "address"),
        group_stride=group_stride,
        instances=_integer(table, "instances"),
        stride=_integer(table, "stride"),
        words=words,
        large_words=_integer(table, "large_words", words),
        meaning=str(table["meaning"]),
    )


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise RegisterError(f"a table is expected in place of {value!r}")
    return value


def _integer(table: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = table.get(key, default)
    if not isinstance(value, int):
        raise RegisterError(f"`{key}` is not an integer")
    return value
