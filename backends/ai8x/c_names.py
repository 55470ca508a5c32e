"""Registers and memories by their names in generated C."""

from __future__ import annotations

from dataclasses import dataclass, field

from ai8xc.dialects.reg import Access
from ai8xc.registers import Field, Register, RegisterMap

LINE = 100
PREFIX = "CNN_"


@dataclass
class CNames:
    """Writes accesses as C statements and remembers which macros they need."""

    registers: RegisterMap
    used: dict[str, None] = field(default_factory=dict)

    def register(self, name: str, group: int = 0, index: int = 0) -> str:
        """Return the C expression of one copy of a register."""
        self.used.setdefault(name)
        found = self.registers.register(name)
        copies = [group] if found.per_group else []
        copies += [index] if found.count > 1 else []
        arguments = ", ".join(map(str, copies))
        return f"{PREFIX}{name}({arguments})" if copies else f"{PREFIX}{name}"

    def data(self, group: int, memory: int, word: int) -> str:
        """Return the C expression of a word of data memory."""
        self.used.setdefault("data")
        return f"{PREFIX}DATA({group}, {memory}, {word})"

    def bias(self, group: int) -> str:
        """Return the C expression of the first word of a bias memory."""
        self.used.setdefault("bias")
        return f"{PREFIX}BIAS({group})"

    def statement(self, access: Access) -> list[str]:
        """Return the lines of an access, with the fields of a written word in a comment."""
        op = access.op
        name = self.register(op.register, op.group, op.index)
        value, mask = hexadecimal(access.value), hexadecimal(access.mask)
        match access.kind:
            case "write":
                return [_commented(f"    {name} = {value};", self._fields(access))]
            case "modify" if not access.value:
                return [f"    {name} &= ~{mask};"]
            case "modify" if not access.mask:
                return [f"    {name} |= {value};"]
            case "modify":
                return [f"    {name} = ({name} & ~{mask}) | {value};"]
            case "poll":
                return [f"    while (({name} & {mask}) != {value}) {{", "    }"]
            case "check":
                condition = f"    if (({name} & {mask}) != {value}) {{"
                return [condition, "        return CNN_FAIL;", "    }"]

    def macros(self) -> str:
        """Return the definitions of the macros in use, in the order of the register map."""
        lines = [_register_macro(r, self.registers) for n, r in self._known() if n in self.used]
        if "bias" in self.used:
            lines.append(self._memory_macro("bias", "BIAS(group)", "((group) * {group})"))
        if "data" in self.used:
            place = "((group) * {group}) + ((memory) * {stride}) + ((word) * 4u)"
            lines.append(self._memory_macro("data", "DATA(group, memory, word)", place))
        return "\n".join(lines)

    def _known(self) -> list[tuple[str, Register]]:
        return list(self.registers.registers.items())

    def _memory_macro(self, memory: str, signature: str, place: str) -> str:
        found = self.registers.memory(memory)
        group, stride = hexadecimal(found.group_stride), hexadecimal(found.stride)
        filled = place.format(group=group, stride=stride)
        return _define(signature, f"{hexadecimal(found.base)} + {filled}")

    def _fields(self, access: Access) -> str:
        fields = self.registers.register(access.op.register).fields
        if len(fields) < 2:
            return ""
        return ", ".join(_shown(f, access.value) for f in fields.values() if f.of(access.value))


def hexadecimal(value: int) -> str:
    """Return an unsigned C constant."""
    return f"0x{value:X}u"


def _shown(field: Field, word: int) -> str:
    value = field.of(word)
    if field.limit == 2:
        return field.name
    return f"{field.name} {value:#x}" if field.limit > 1 << 14 else f"{field.name} {value}"


def _commented(line: str, comment: str) -> str:
    return f"{line:46} /* {comment} */" if 0 < len(comment) <= LINE - 54 else line


def _register_macro(register: Register, registers: RegisterMap) -> str:
    parameters, place = [], hexadecimal(register.base)
    if register.per_group:
        parameters.append("group")
        place += f" + ((group) * {hexadecimal(registers.group_stride)})"
    if register.count > 1:
        index = "layer" if register.scope in ("layer", "stream") else "index"
        parameters.append(index)
        place += f" + (({index}) * {hexadecimal(register.stride)})"
    signature = f"({', '.join(parameters)})" if parameters else ""
    return _define(f"{register.name}{signature}", place)


def _define(signature: str, place: str) -> str:
    return f"#define {PREFIX}{signature} CNN_REG({place})"
