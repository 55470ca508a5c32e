"""Checked ops from parsed text: resolves names, coerces attributes, compares types."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ai8xc.ir.core import Data, FieldSpec, Graph, Input, Mask, Op, Word, op_classes
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import ELEMENTS, Array, TensorType, storage

Raw = object
"""A parsed attribute value: number, string, bool, None, list, record, or ("kind", content)."""

Position = tuple[int, int]

UNKNOWN_OP = declare(
    "IR022",
    "there is no op `{opcode}`",
    "The ops of each level are listed in the operator reference of the manual.",
)
UNDEFINED = declare(
    "IR023",
    "`%{name}` is not defined above this line",
    "A value is defined by an argument of the graph or by an op above the line that reads it.",
)
OPERAND_COUNT = declare(
    "IR024",
    "`{opcode}` takes {wanted}, not {given}",
    "Operands stand in the order of the op's fields; `_` stands for one that is left out.",
)
BAD_ATTRIBUTE = declare(
    "IR025",
    "`{opcode}` has no attribute `{key}`",
    "The attributes of each op are listed in the operator reference of the manual.",
)
BAD_VALUE = declare(
    "IR026",
    "attribute `{key}` of `{opcode}` cannot be {value}",
    "The attribute has another type than the value that is given.",
)
MISSING_ATTRIBUTE = declare(
    "IR027",
    "`{opcode}` needs attribute `{key}`",
    "An attribute without a default must be given.",
)
TYPE_DIFFERS = declare(
    "IR028",
    "`%{name}` is declared as {declared}, but it is {computed}",
    "The type of an op follows from its operands and attributes; text repeats it for the reader.",
)
NO_CONSTANT = declare(
    "IR029",
    "there is no array `{key}` beside this text",
    '`file<"key">` names an array in the `.npz` file that stands beside the `.ir` file.',
)
BAD_ELEMENT = declare(
    "IR030",
    "`{text}` is not a tensor type",
    "A tensor type is `tensor<1x3x8x8xf32>`, with element types such as f32, i8, i32, i4.",
)
BAD_HEADER = declare(
    "IR031",
    "a graph starts with `nn.graph`, `q.graph`, `ai8x.graph` or `reg.graph`, not `{opcode}`",
    "The header names the level of the graph.",
)


@dataclass(frozen=True)
class OpText:
    """One line of text, not yet checked."""

    name: str
    opcode: str
    operands: tuple[str | tuple[str, ...] | None, ...]
    attributes: Mapping[str, Raw]
    declared: tuple[str, float | None]
    nodes: tuple[str, ...]
    position: Position


class _Wrong(Exception):  # noqa: N818 - carries the finding out of a nested helper
    def __init__(self, finding: Diagnostic) -> None:
        self.finding = finding
        super().__init__(str(finding))


class GraphBuilder:
    """Builds one graph and collects everything that is wrong with its text."""

    def __init__(self, source: str, constants: Mapping[str, Data]) -> None:
        self.source = source
        self.constants = constants
        self.findings: list[Diagnostic] = []
        self.values: dict[str, Op | None] = {}
        self.ops: list[Op] = []

    def build(
        self,
        header: tuple[str, str, Position],
        arguments: Sequence[OpText],
        attributes: Mapping[str, Raw],
        ops: Sequence[OpText],
        results: Sequence[tuple[str, Position]],
    ) -> Graph:
        """Return the graph; raises `Rejected` with all findings."""
        opcode, name, position = header
        level, _, keyword = opcode.partition(".")
        if keyword != "graph" or level not in ("nn", "q", "ai8x", "reg"):
            self.findings.append(BAD_HEADER.at(self.loc(position), opcode=opcode))
        for text in (*arguments, *ops):
            self.add(text)
        outputs = [self.output(name, position) for name, position in results]
        if self.findings:
            raise Rejected(self.findings)
        pairs = sorted((key, _plain(value)) for key, value in attributes.items())
        found = tuple(output for output in outputs if output is not None)
        return Graph(name, level, tuple(self.ops), found, tuple(pairs))

    def loc(self, position: Position, nodes: tuple[str, ...] = ()) -> Loc:
        """Return the location of a place in the text."""
        return Loc(self.source, nodes, *position)

    def output(self, name: str, position: Position) -> Op | None:
        """Return the op that the graph returns under this name."""
        if name not in self.values:
            self.findings.append(UNDEFINED.at(self.loc(position), name=name))
        return self.values.get(name)

    def add(self, text: OpText) -> None:
        """Build one op; a broken one is remembered, so that its readers are not blamed."""
        op: Op | None = None
        try:
            op = self.make(text)
            if op is not None:
                self.check_type(op, text)
        except _Wrong as wrong:
            self.findings.append(wrong.finding)
        except Rejected as rejected:
            self.findings.extend(rejected.diagnostics)
            op = None
        if op is not None:
            self.ops.append(op)
        self.values[text.name] = op

    def make(self, text: OpText) -> Op | None:
        """Return the op of a line, None where an operand is broken already."""
        loc = self.loc(text.position, text.nodes)
        declared = self.declared(text, loc)
        if text.opcode == "ir.input":
            return Input(declared, name=text.name, loc=loc)
        cls = op_classes().get(text.opcode)
        if cls is None or cls is Input:
            raise _Wrong(UNKNOWN_OP.at(loc, opcode=text.opcode))
        operands = self.operands(cls, text, loc)
        attributes = self.attributes(cls, text, loc, declared)
        if operands is None:
            return None
        return cls(**operands, **attributes, name=text.name, loc=loc)

    def declared(self, text: OpText, loc: Loc) -> TensorType:
        """Return the type that a line declares."""
        shape, scale = text.declared
        *dims, element = shape.split("x")
        if element not in ELEMENTS:
            raise _Wrong(BAD_ELEMENT.at(loc, text=f"tensor<{shape}>"))
        return TensorType(tuple(map(int, dims)), element, scale)  # type: ignore[arg-type] # checked

    def check_type(self, op: Op, text: OpText) -> None:
        """Compare the type of an op with the declared one."""
        declared = self.declared(text, op.loc)
        if not op.type.matches(declared):
            finding = TYPE_DIFFERS.at(op, name=op.name, declared=declared, computed=op.type)
            raise _Wrong(finding)

    def operands(self, cls: type[Op], text: OpText, loc: Loc) -> dict[str, Any] | None:
        """Return the operand fields; None when one of them is a broken op."""
        specs = [spec for spec in cls.fields() if spec.kind != "attribute"]
        given = [*text.operands, *[None] * (len(specs) - len(text.operands))]
        if len(given) > len(specs) or not all(map(_fits, specs, given)):
            wanted = ", ".join(_wanted(spec) for spec in specs) or "no operands"
            raise _Wrong(
                OPERAND_COUNT.at(loc, opcode=text.opcode, wanted=wanted, given=len(text.operands))
            )
        missing = [name for name in _flat(given) if name not in self.values]
        for name in missing:
            self.findings.append(UNDEFINED.at(loc, name=name))
        if any(self.values.get(name) is None for name in _flat(given)):
            return None
        return {spec.name: self.resolve(value) for spec, value in zip(specs, given, strict=True)}

    def resolve(self, given: str | tuple[str, ...] | None) -> Any:
        """Return the op or ops with these names."""
        if given is None:
            return None
        if isinstance(given, str):
            return self.values[given]
        return tuple(self.values[name] for name in given)

    def attributes(
        self, cls: type[Op], text: OpText, loc: Loc, declared: TensorType
    ) -> dict[str, Any]:
        """Return the attribute fields, coerced to their annotated types."""
        specs = {spec.name: spec for spec in cls.fields() if spec.kind == "attribute"}
        for key in text.attributes:
            if key not in specs:
                raise _Wrong(BAD_ATTRIBUTE.at(loc, opcode=text.opcode, key=key))
        found: dict[str, Any] = {}
        for key, spec in specs.items():
            if key in text.attributes:
                found[key] = self.attribute(spec, text, loc, declared)
            elif spec.default is dataclasses.MISSING:
                raise _Wrong(MISSING_ATTRIBUTE.at(loc, opcode=text.opcode, key=key))
        return found

    def attribute(self, spec: FieldSpec, text: OpText, loc: Loc, declared: TensorType) -> object:
        """Return one attribute value."""
        raw = text.attributes[spec.name]
        if spec.hint is Data:
            return self.data(raw, spec, text, loc, declared)
        try:
            return coerce(raw, spec.hint)
        except (TypeError, ValueError):
            shown = _shown(raw)
            raise _Wrong(
                BAD_VALUE.at(loc, opcode=text.opcode, key=spec.name, value=shown)
            ) from None

    def data(self, raw: Raw, spec: FieldSpec, text: OpText, loc: Loc, declared: TensorType) -> Data:
        """Return an array: written out, one value repeated, or from the file beside the text."""
        match raw:
            case ("file", str(key)):
                if key not in self.constants:
                    raise _Wrong(NO_CONSTANT.at(loc, key=key))
                return self.constants[key]
            case ("dense" | "splat" as kind, content):
                try:
                    return Data(_array(kind, content, declared))
                except (TypeError, ValueError, OverflowError):
                    pass
        shown = _shown(raw)
        raise _Wrong(BAD_VALUE.at(loc, opcode=text.opcode, key=spec.name, value=shown))


def _array(kind: str, content: Raw, declared: TensorType) -> Array:
    dtype = storage(declared.element)
    if kind == "splat":
        return np.full(declared.shape, content, dtype)
    flat: Array = np.array(content)
    if declared.element not in ("f32", "f64", "f16") and flat.dtype.kind == "f" and flat.size:
        raise ValueError("integers are written without a point")
    return flat.astype(dtype).reshape(declared.shape)


def coerce(raw: Raw, hint: Any) -> object:
    """Return a parsed value as the annotated type wants it; raises TypeError or ValueError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if raw is None else coerce(raw, next(a for a in args if a is not type(None)))
    if origin is Literal:
        if raw not in args:
            raise ValueError(raw)
        return raw
    if origin is tuple:
        return _coerce_tuple(raw, args)
    if hint is TensorType and isinstance(raw, tuple) and raw[0] == "tensor":
        return _tensor_type(raw[1])
    if hint in (Mask, Word) or (isinstance(raw, tuple) and raw[0] == "mask"):
        return _coerce_mask(raw, hint)
    if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if dataclasses.is_dataclass(hint) and isinstance(raw, dict):
        return _coerce_record(raw, hint)
    if hint in (bool, int, float, str) and type(raw) is hint:
        return raw
    raise TypeError(hint)


def _coerce_record(raw: Mapping[str, Raw], hint: Any) -> object:
    hints = typing.get_type_hints(hint)
    if not raw.keys() <= hints.keys():
        raise TypeError(hint)
    return hint(**{key: coerce(value, hints[key]) for key, value in raw.items()})


def _coerce_mask(raw: Raw, hint: object) -> object:
    number = raw[1] if isinstance(raw, tuple) else raw
    if not isinstance(number, int):
        raise TypeError(hint)
    for kind in (Mask, Word, int):
        if hint is kind:
            return kind(number)
    raise TypeError(hint)


def _coerce_tuple(raw: Raw, args: tuple[Any, ...]) -> tuple[object, ...]:
    if not isinstance(raw, list):
        raise TypeError("a tuple is written in parentheses")
    hints = [args[0]] * len(raw) if args[-1:] == (Ellipsis,) else list(args)
    if len(hints) != len(raw):
        raise ValueError("wrong number of items")
    return tuple(coerce(item, hint) for item, hint in zip(raw, hints, strict=True))


def _tensor_type(raw: tuple[str, float | None]) -> TensorType:
    *dims, element = raw[0].split("x")
    if element not in ELEMENTS:
        raise ValueError(element)
    return TensorType(tuple(map(int, dims)), element, raw[1])  # type: ignore[arg-type] # checked


def _plain(raw: Raw) -> object:
    """Return an attribute of the graph, which has no annotated type."""
    if isinstance(raw, list):
        return tuple(_plain(item) for item in raw)
    if isinstance(raw, tuple) and raw[0] == "mask":
        return Mask(raw[1])
    return raw


def _shown(raw: Raw) -> str:
    return f"`{_plain(raw)!r}`"


def _fits(spec: FieldSpec, given: object) -> bool:
    if spec.kind == "variadic":
        return isinstance(given, tuple)
    return isinstance(given, str) or (given is None and spec.kind == "optional")


def _wanted(spec: FieldSpec) -> str:
    shown = {"operand": f"`{spec.name}`", "optional": f"`{spec.name}` or `_`"}
    return shown.get(spec.kind, f"`[{spec.name}, ...]`")


def _flat(given: Sequence[str | tuple[str, ...] | None]) -> list[str]:
    names: list[str] = []
    for item in given:
        if isinstance(item, str):
            names.append(item)
        elif item is not None:
            names.extend(item)
    return names
