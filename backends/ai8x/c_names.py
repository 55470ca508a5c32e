"""Registers and memories by their names in generated C."""

from __future__ import annotations

from dataclasses import dataclass, field

from ai8xc.dialects.reg import Access
from ai8xc.registers import Field, Register, RegisterMap

LINE = 100
PREFIX = "CNN_"
SMALL = 1 << 10
NOT_READ_BACK = frozenset({"SRAM_TEST", "FMAX"})
"""Registers that hold something else than what was written; register description, section 7."""


@dataclass
class CNames:
    """Writes accesses as C statements and remembers which macros they need."""

    registers: RegisterMap
    used: dict[str, None] = field(default_factory=dict)
    fields: dict[tuple[str, str], None] = field(default_factory=dict)

    def register(self, name: str, group: int = 0, index: int = 0) -> str:
        """Return the C expression of one copy of a register."""
        self.used.setdefault(name)
        found = self.registers.register(name)
        copies = [group] if found.per_group else []
        copies += [index] if found.count > 1 else []
        arguments = ", ".join(map(str, copies))
        return f"{PREFIX}{name}({arguments})" if copies else f"{PREFIX}{name}"

    def terms(self, register: str, word: int) -> list[str]:
        """Return the fields of a word that are not 0, as C constants; their sum is the word."""
        found = self.registers.register(register)
        if len(found.fields) < 2 or word & ~found.used:
            return [_number(word)]
        shown = [f for f in found.fields.values() if f.of(word)]
        for each in shown:
            self.fields.setdefault((register, each.name))
        return [_term(found, f, f.of(word)) for f in shown] or ["0u"]

    def value(self, register: str, word: int) -> str:
        """Return a word as an operand."""
        terms = self.terms(register, word)
        joined = " | ".join(terms)
        return f"({joined})" if len(terms) > 1 else joined

    def data(self, group: int, memory: int, word: int) -> str:
        """Return the C expression of a word of data memory."""
        self.used.setdefault("data")
        return f"{PREFIX}DATA({group}, {memory}, {word})"

    def bias(self, group: int) -> str:
        """Return the C expression of the first word of a bias memory."""
        self.used.setdefault("bias")
        return f"{PREFIX}BIAS({group})"

    def statement(self, access: Access) -> list[str]:
        """Return the lines of an access."""
        op = access.op
        name = self.register(op.register, op.group, op.index)
        if access.kind == "write":
            return self.broken(f"{name} = ", self.terms(op.register, access.value), ";")
        value = self.value(op.register, access.value)
        mask = self.value(op.register, access.mask)
        match access.kind:
            case "modify" if not access.value:
                return [f"    {name} &= ~{mask};"]
            case "modify" if not access.mask:
                return [f"    {name} |= {value};"]
            case "modify":
                return [f"    {name} = ({name} & ~{mask}) | {value};"]
            case "poll":
                return [f"    while (({name} & {mask}) != {value}) {{", "    }"]
            case _:
                condition = f"    if (({name} & {mask}) != {value}) {{"
                return [condition, "        return CNN_FAIL;", "    }"]

    def verified(self, access: Access) -> list[str]:
        """Return the lines that read back what a write has written; status cannot be compared."""
        op = access.op
        if access.kind != "write" or op.register in NOT_READ_BACK:
            return []
        name = self.register(op.register, op.group, op.index)
        value = self.value(op.register, access.value)
        return [f"    if ({name} != {value}) {{", "        return CNN_FAIL;", "    }"]

    def broken(self, head: str, terms: list[str], tail: str) -> list[str]:
        """Return a statement whose last operand is a sum of terms, in lines that are not long."""
        lines = [f"    {head}{terms[0]}"]
        for term in terms[1:]:
            if len(lines[-1]) + len(term) + 3 + len(tail) > LINE:
                lines[-1] += " |"
                lines.append(f"        {term}")
            else:
                lines[-1] += f" | {term}"
        lines[-1] += tail
        return lines

    def macros(self) -> str:
        """Return the definitions of the macros in use, in the order of the register map."""
        lines = [_register_macro(r, self.registers) for n, r in self._known() if n in self.used]
        if "bias" in self.used:
            lines.append(self._memory_macro("bias", "BIAS(group)", "((group) * {group})"))
        if "data" in self.used:
            place = "((group) * {group}) + ((memory) * {stride}) + ((word) * 4u)"
            lines.append(self._memory_macro("data", "DATA(group, memory, word)", place))
        return "\n".join(lines)

    def field_macros(self) -> str:
        """Return the definitions of the fields in use, with what they mean."""
        lines = [
            _field_macro(register, field)
            for name, register in self._known()
            for field in register.fields.values()
            if (name, field.name) in self.fields
        ]
        return "\n".join(lines)

    def _known(self) -> list[tuple[str, Register]]:
        return list(self.registers.registers.items())

    def _memory_macro(self, memory: str, signature: str, place: str) -> str:
        found = self.registers.memory(memory)
        group, stride = hexadecimal(found.group_stride), hexadecimal(found.stride)
        filled = place.format(group=group, stride=stride)
        return _define(signature, f"{hexadecimal(found.base)} + {filled}")


def hexadecimal(value: int) -> str:
    """Return an unsigned C constant."""
    return f"0x{value:X}u"


def _number(value: int) -> str:
    """Return a constant: small ones are counts, large ones addresses and masks."""
    return f"{int(value)}u" if value < SMALL else hexadecimal(int(value))


def _term(register: Register, field: Field, value: int) -> str:
    name = f"{PREFIX}{register.name}_{field.name.upper()}"
    return name if field.limit == 2 else f"{name}({_number(value)})"


def _field_macro(register: Register, field: Field) -> str:
    name = f"{register.name}_{field.name.upper()}"
    place = f"<< {field.low}" if field.low else ""
    signature, value = (name, "1u") if field.limit == 2 else (f"{name}(n)", "(n)")
    line = f"#define {PREFIX}{signature} {f'({value} {place})' if place else value}"
    meaning = field.meaning.replace("*/", "* /")
    commented = f"{line:46} /* {meaning} */"
    return commented if meaning and len(commented) <= LINE else line


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
    line = f"#define {PREFIX}{signature} CNN_REG({place})"
    return line if len(line) <= LINE else f"#define {PREFIX}{signature} \\\n    CNN_REG({place})"
