"""Ops and graphs.

An op is a frozen object that defines one value. Fields annotated `Op`, `Op | None` or
`tuple[Op, ...]` are its operands, all other fields its attributes; printing, parsing and
rewriting follow from the fields, so no op has syntax of its own. The type of the value is
computed from the fields, once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Self, TypeVar, dataclass_transform

import numpy as np

from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import UNKNOWN, Loc
from ai8xc.ir.types import Array, TensorType

FieldKind = Literal["operand", "optional", "variadic", "attribute"]
COMMON: Final = ("name", "loc")


@dataclass(frozen=True)
class FieldSpec:
    """One field of an op class: its name, whether it holds operands, its annotated type."""

    name: str
    kind: FieldKind
    hint: object
    default: object


class Data:
    """An immutable array inside an op, compared by content."""

    __slots__ = ("__dict__", "array")

    def __init__(self, array: Array) -> None:
        self.array: Array = np.array(array, order="C")
        self.array.setflags(write=False)

    @classmethod
    def taking(cls, array: Array) -> Data:
        """Return an array that nobody else will write to, without copying it."""
        if not (array.flags.owndata and array.flags.c_contiguous):
            return cls(array)
        made = cls.__new__(cls)
        made.array = array
        array.setflags(write=False)
        return made

    @cached_property
    def digest(self) -> str:
        """SHA-256 of element type, shape and content."""
        head = f"{self.array.dtype.str}{self.array.shape}".encode()
        return hashlib.sha256(head + self.array.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Data) and (self is other or self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Data({self.array.dtype}{list(self.array.shape)})"


class Mask(int):
    """A set of processors, one bit each; text shows it in hexadecimal."""

    def __repr__(self) -> str:
        return f"{int(self):#018x}"


class Word(int):
    """A 32-bit word; text shows it in hexadecimal."""

    def __repr__(self) -> str:
        return f"{int(self):#010x}"


@dataclass(frozen=True, eq=False)
class Op:
    """Base of all ops: one value, identified by the object, named for people."""

    name: str = field(default="", kw_only=True)
    loc: Loc = field(default=UNKNOWN, kw_only=True)

    opcode: ClassVar[str] = ""

    @cached_property
    def type(self) -> TensorType:
        """Type of the value, computed from the fields; raises `Rejected` where there is none."""
        raise NotImplementedError(type(self).__name__)

    def verify(self) -> Iterator[Diagnostic]:
        """Yield what is wrong with this op, given operands that are right."""
        yield from ()

    def compute(self, *operands: Array) -> Array:
        """Return the value for the values of `operands` (in the order of `self.operands`)."""
        raise NotImplementedError(f"{self.opcode} has no interpreter")

    @classmethod
    def fields(cls) -> tuple[FieldSpec, ...]:
        """Describe the fields, without those that every op has."""
        return _field_specs(cls)

    @property
    def dialect(self) -> str:
        """The level this op belongs to."""
        return self.opcode.partition(".")[0]

    @cached_property
    def operands(self) -> tuple[Op, ...]:
        """All operands that are present, in the order of the fields."""
        found: list[Op] = []
        for spec in self.fields():
            value = getattr(self, spec.name)
            if spec.kind == "variadic":
                found.extend(value)
            elif spec.kind != "attribute" and value is not None:
                found.append(value)
        return tuple(found)

    def attributes(self) -> dict[str, object]:
        """Return the attributes by name, in the order of the fields."""
        specs = (spec for spec in self.fields() if spec.kind == "attribute")
        return {spec.name: getattr(self, spec.name) for spec in specs}

    def with_operands(self, new: Mapping[Op, Op]) -> Self:
        """Return this op reading `new[operand]` where there is one; itself if nothing changes."""
        changes: dict[str, Any] = {}
        for spec in self.fields():
            value = getattr(self, spec.name)
            if spec.kind == "attribute" or value is None:
                continue
            if spec.kind == "variadic":
                after: object = tuple(new.get(operand, operand) for operand in value)
            else:
                after = new.get(value, value)
            if after != value:
                changes[spec.name] = after
        return dataclasses.replace(self, **changes) if changes else self

    def __repr__(self) -> str:
        return f"<{self.opcode} %{self.name}>"


_SPECS: dict[type[Op], tuple[FieldSpec, ...]] = {}
_OPS: dict[str, type[Op]] = {}
OpT = TypeVar("OpT", bound=Op)


def _field_specs(cls: type[Op]) -> tuple[FieldSpec, ...]:
    if cls not in _SPECS:
        hints = typing.get_type_hints(cls)
        _SPECS[cls] = tuple(
            FieldSpec(f.name, _kind(hints[f.name]), hints[f.name], _default(f))
            for f in dataclasses.fields(cls)
            if f.name not in COMMON
        )
    return _SPECS[cls]


def _default(f: dataclasses.Field[Any]) -> object:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default


def _kind(hint: object) -> FieldKind:
    args = typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Op):
        return "operand"
    if typing.get_origin(hint) is tuple and args and args[0] is Op:
        return "variadic"
    if Op in args:
        return "optional"
    return "attribute"


@dataclass_transform(eq_default=False, frozen_default=True)
def op(opcode: str) -> Callable[[type[OpT]], type[OpT]]:
    """Make a class an op with this name, known to printer and parser."""

    def decorate(cls: type[OpT]) -> type[OpT]:
        if opcode in _OPS:
            raise ValueError(f"two ops are called {opcode}")
        made = dataclass(frozen=True, eq=False, repr=False)(cls)
        made.opcode = opcode
        _OPS[opcode] = made
        return made

    return decorate


def op_classes() -> Mapping[str, type[Op]]:
    """Return every op class that has been imported, by name."""
    return _OPS


@op("ir.input")
class Input(Op):
    """An input of the graph; text shows it as an argument."""

    value_type: TensorType

    @cached_property
    def type(self) -> TensorType:
        """The declared type."""
        return self.value_type


@dataclass(frozen=True, eq=False)
class Graph:
    """A network at one level: ops in an order in which each follows its operands.

    `level` is the dialect of its ops. `attributes` are facts about the whole network, sorted by
    name (for example `outputs`, the names that the user's model gives its outputs).
    """

    name: str
    level: str
    ops: tuple[Op, ...]
    outputs: tuple[Op, ...]
    attributes: tuple[tuple[str, object], ...] = ()

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs, in order."""
        return tuple(op for op in self.ops if isinstance(op, Input))

    @cached_property
    def uses(self) -> Mapping[Op, int]:
        """Number of readers of each op; being an output of the graph counts as one."""
        counts: dict[Op, int] = dict.fromkeys(self.ops, 0)
        for reader in self.ops:
            for operand in reader.operands:
                counts[operand] = counts.get(operand, 0) + 1
        for output in self.outputs:
            counts[output] = counts.get(output, 0) + 1
        return counts

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs as the user's model has them."""
        names = self.get("outputs")
        if isinstance(names, tuple):
            return tuple(str(name) for name in names)
        return tuple(output.name for output in self.outputs)

    def get(self, attribute: str) -> object:
        """Return an attribute of the graph, None when it is absent."""
        return dict(self.attributes).get(attribute)

    def having(self, **attributes: object) -> Graph:
        """Return the graph with these attributes set (None removes one)."""
        merged = dict(self.attributes) | attributes
        kept = sorted((key, value) for key, value in merged.items() if value is not None)
        return dataclasses.replace(self, attributes=tuple(kept))

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)


def make_graph(
    name: str,
    level: str,
    ops: Iterable[Op],
    outputs: Iterable[Op],
    attributes: tuple[tuple[str, object], ...] = (),
) -> Graph:
    """Build a graph from ops in any order, with operands that may be missing from `ops`.

    Ops are put behind their operands (keeping their order otherwise), inputs first, and names
    that are empty or taken twice are made unique.
    """
    outputs = tuple(outputs)
    ordered = _topological((*ops, *outputs))
    ordered.sort(key=lambda op: not isinstance(op, Input))
    renamed = _unique_names(ordered)
    return Graph(
        name,
        level,
        tuple(renamed.get(op, op) for op in ordered),
        tuple(renamed.get(op, op) for op in outputs),
        attributes,
    )


def _topological(roots: Iterable[Op]) -> list[Op]:
    ordered: list[Op] = []
    done: set[Op] = set()
    for root in roots:
        stack = [(root, iter(root.operands))] if root not in done else []
        done.add(root)
        while stack:
            current, pending = stack[-1]
            following = next((op for op in pending if op not in done), None)
            if following is None:
                ordered.append(current)
                stack.pop()
            else:
                done.add(following)
                stack.append((following, iter(following.operands)))
    return ordered


def _unique_names(ordered: Iterable[Op]) -> dict[Op, Op]:
    """Return replacements for ops whose name is not unique, and for all that read them."""
    new: dict[Op, Op] = {}
    taken: set[str] = set()
    for op in ordered:
        current = op.with_operands(new) if new else op
        name = unique_name(op.name or op.opcode.partition(".")[2], taken)
        if name != op.name:
            current = dataclasses.replace(current, name=name)
        if current is not op:
            new[op] = current
    return new


def unique_name(wanted: str, taken: set[str]) -> str:
    """Return `wanted`, or `wanted_2`, `wanted_3`... where it is taken; adds it to `taken`."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    taken.add(name)
    return name
