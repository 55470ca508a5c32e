"""Graphs as text: one generic printer, our own syntax or MLIR's generic one."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from ai8xc.ir.core import Data, Graph, Input, Mask, Op, Word
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

INLINE_LIMIT: Final = 16
"""Arrays of up to this many values are printed; larger ones stand in a file beside the text."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MLIR_ELEMENT: Final = {"u8": "ui8", "u16": "ui16", "u32": "ui32", "bool": "i1", "bin": "i1"}


def print_graph(graph: Graph) -> str:
    """Return the text of a graph; large constants are named by `constants(graph)`."""
    lines = [_header(graph)]
    ops = [op for op in graph.ops if not isinstance(op, Input)]
    heads = [f"%{op.name}" for op in ops]
    width = min(max(map(len, heads), default=0), 24)
    lines.extend(f"  {head:<{width}} = {print_op(op)}" for head, op in zip(heads, ops, strict=True))
    outputs = ", ".join(f"%{op.name}" for op in graph.outputs)
    return "\n".join([*lines, f"  return {outputs}", "}", ""])


def print_op(op: Op) -> str:
    """Return one op without its result: `q.relu(%x) : tensor<1x4xi8> loc("relu")`."""
    return f"{print_call(op)} : {op.type}{print_loc(op.loc)}"


def print_call(op: Op) -> str:
    """Return one op without result, type and place, also where it has no type."""
    return f"{op.opcode}({', '.join(_operands(op))}){print_attributes(op)}"


def print_attributes(op: Op) -> str:
    """Return ` {a = 1, b = true}` for the attributes that differ from their default."""
    pairs = list(_attribute_texts(op))
    return " {" + ", ".join(f"{key} = {text}" for key, text in pairs) + "}" if pairs else ""


def print_loc(loc: Loc) -> str:
    """Return ` loc("node", ...)` where the location names nodes of the user's model."""
    if not loc.nodes:
        return ""
    return f" loc({', '.join(json.dumps(node, ensure_ascii=False) for node in loc.nodes)})"


def constants(graph: Graph) -> dict[str, Data]:
    """Return the arrays that the text of `graph` refers to by name, for the file beside it."""
    found: dict[str, Data] = {}
    for op in graph.ops:
        for attribute, value in op.attributes().items():
            if isinstance(value, Data) and not _is_inline(value):
                found[_file_key(op, attribute)] = value
    return found


def _header(graph: Graph) -> str:
    arguments = ", ".join(_argument(op) for op in graph.inputs)
    attributes = ""
    if graph.attributes:
        pairs = (f"{key} = {print_value(value)}" for key, value in graph.attributes)
        attributes = " attributes {" + ", ".join(pairs) + "}"
    return f"{graph.level}.graph @{graph.name}({arguments}){attributes} {{"


def _argument(op: Input) -> str:
    return f"%{op.name}: {op.type}{print_loc(op.loc)}"


def _operands(op: Op) -> Iterator[str]:
    texts: list[str] = []
    for spec in op.fields():
        value = getattr(op, spec.name)
        if spec.kind == "variadic":
            texts.append("[" + ", ".join(f"%{operand.name}" for operand in value) + "]")
        elif spec.kind != "attribute":
            texts.append("_" if value is None else f"%{value.name}")
    while texts and texts[-1] == "_":
        texts.pop()
    yield from texts


def _attribute_texts(op: Op) -> Iterator[tuple[str, str]]:
    for spec in op.fields():
        if spec.kind != "attribute":
            continue
        value = getattr(op, spec.name)
        if value == spec.default and type(value) is type(spec.default):
            continue
        if isinstance(value, Data) and not _is_inline(value):
            yield spec.name, f'file<"{_file_key(op, spec.name)}">'
        else:
            yield spec.name, print_value(value)


def _file_key(op: Op, attribute: str) -> str:
    return op.name if attribute == "value" else f"{op.name}.{attribute}"


def print_value(value: object) -> str:
    """Return the text of one attribute value."""
    match value:
        case None | bool():
            return {None: "none", True: "true", False: "false"}[value]
        case Mask() | Word():
            return repr(value)
        case TensorType():
            return str(value)
        case int():
            return str(value)
        case float():
            return _print_float(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            inner = ", ".join(print_value(item) for item in value)
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        case Data():
            return _print_data(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _print_record(value)
        case _:
            raise TypeError(f"an attribute cannot hold {value!r}")


def _is_inline(data: Data) -> bool:
    return data.array.size <= INLINE_LIMIT or _is_uniform(data)


def _is_uniform(data: Data) -> bool:
    flat = data.array.reshape(-1)
    return flat.size > 1 and bool((flat[0] == flat).all())


def _print_data(data: Data) -> str:
    if _is_uniform(data):
        return f"splat<{print_value(data.array.reshape(-1)[0].item())}>"
    return f"dense<{print_dense(data)}>"


def _print_record(value: object) -> str:
    pairs = []
    for f in dataclasses.fields(value):  # type: ignore[arg-type] # the caller has checked it
        item = getattr(value, f.name)
        if item != f.default or type(item) is not type(f.default):
            pairs.append(f"{f.name} = {print_value(item)}")
    return "{" + ", ".join(pairs) + "}"


def _print_float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def print_dense(data: Data) -> str:
    """Return the values of an array as nested lists."""

    def nested(array: object) -> str:
        if isinstance(array, list):
            return "[" + ", ".join(nested(item) for item in array) + "]"
        return print_value(array)

    return nested(data.array.tolist())


def print_mlir(graph: Graph) -> str:
    """Return the graph in MLIR's generic syntax, which needs no registered dialect.

    The scale of a type becomes the tensor's encoding; constants that stand in a file are
    named by a string attribute.
    """
    lines = ['"builtin.module"() ({', f'  "{graph.level}.graph"() ({{']
    arguments = ", ".join(f"%{op.name}: {_mlir_type(op.type)}" for op in graph.inputs)
    lines.append(f"  ^bb0({arguments}):")
    for op in graph.ops:
        if not isinstance(op, Input):
            lines.append(f"    {_mlir_op(op)}")
    outputs = ", ".join(f"%{op.name}" for op in graph.outputs)
    types = ", ".join(_mlir_type(op.type) for op in graph.outputs)
    lines.append(f'    "{graph.level}.return"({outputs}) : ({types}) -> ()')
    pairs = [("sym_name", _mlir_string(graph.name))]
    pairs += [(key, _mlir_value(value)) for key, value in graph.attributes]
    attributes = ", ".join(f"{_mlir_key(key)} = {text}" for key, text in pairs)
    return "\n".join([*lines, f"  }}) {{{attributes}}} : () -> ()", "}) : () -> ()", ""])


def _mlir_op(op: Op) -> str:
    operands = ", ".join(f"%{operand.name}" for operand in op.operands)
    types = ", ".join(_mlir_type(operand.type) for operand in op.operands)
    pairs = [(key, _mlir_value(value)) for key, value in op.attributes().items()]
    body = ", ".join(f"{_mlir_key(key)} = {text}" for key, text in pairs)
    attributes = f" {{{body}}}" if body else ""
    result = _mlir_type(op.type)
    place = f" loc({_mlir_string(', '.join(op.loc.nodes))})" if op.loc.nodes else ""
    return f'%{op.name} = "{op.opcode}"({operands}){attributes} : ({types}) -> {result}{place}'


def _mlir_type(kind: TensorType) -> str:
    dims = "".join(f"{size}x" for size in kind.shape)
    element = _MLIR_ELEMENT.get(kind.element, kind.element)
    encoding = "" if kind.scale is None else f", {{scale = {_mlir_float(kind.scale)}}}"
    return f"tensor<{dims}{element}{encoding}>"


def _mlir_key(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) else _mlir_string(key)


def _mlir_string(text: str) -> str:
    escapes: dict[str, str | int | None] = {'"': '\\"', "\\": "\\\\"}
    escapes |= {chr(code): f"\\{code:02X}" for code in (*range(32), 127)}
    return f'"{text.translate(str.maketrans(escapes))}"'


def _mlir_float(value: float) -> str:
    if math.isfinite(value):
        mantissa, _, exponent = repr(float(value)).partition("e")
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        return f"{mantissa}{'e' + exponent if exponent else ''} : f64"
    bits = np.array(value, np.float64).view(np.uint64)
    return f"{int(bits):#018x} : f64"


def _mlir_value(value: object) -> str:
    match value:
        case None:
            return "unit"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{int(value)} : i64" if value < 2**63 else f'"{int(value):#x}"'
        case float():
            return _mlir_float(value)
        case str():
            return _mlir_string(value)
        case tuple():
            return "[" + ", ".join(_mlir_value(item) for item in value) + "]"
        case Data():
            return _mlir_string(f"sha256:{value.digest}")
        case TensorType():
            return _mlir_type(value)
        case _:
            return _mlir_string(print_value(value))
