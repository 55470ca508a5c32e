"""Text to graphs and pipelines: the only module that knows the parser generator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ai8xc.grammar.builder import GraphBuilder, OpText
from ai8xc.ir.core import Data, Graph
from ai8xc.ir.diag import Diagnostic, Rejected, Rule, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.passes import PassSpec

if TYPE_CHECKING:
    from ai8xc.grammar.builder import Raw

SYNTAX = declare(
    "IR020",
    "syntax error: {what}",
    """The text does not follow the grammar of graphs: a header `nn.graph @name(%x: tensor<...>) {`,
    one op a line `%y = nn.relu(%x) {key = value} : tensor<...>`, and `return %y }`.""",
)
PIPELINE_SYNTAX = declare(
    "IR021",
    "syntax error in the pipeline: {what}",
    "A pipeline is a list of passes, `name{option=value, option=value},name`.",
)

_TERMS: Final = {
    "OPCODE": "an op name such as `nn.relu`",
    "SYMBOL": "a graph name such as `@net`",
    "VALUE": "a value such as `%x`",
    "KEY": "an attribute name",
    "SHAPE": "a shape such as `1x3x8x8xf32`",
    "HEX": "a number",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a string",
    "NAME": "a name",
    "$END": "the end of the text",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LESSTHAN": "`<`",
    "MORETHAN": "`>`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "UNDERSCORE": "`_`",
}


@cache
def _parser(name: str) -> Lark:
    text = Path(__file__).with_name(f"{name}.lark").read_text("utf-8")
    return Lark(text, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def read_graph(text: str, source: str, constants: Mapping[str, Data] | None = None) -> Graph:
    """Return the graph that a text describes, every op of a dialect that has been imported.

    `source` names the file in messages, `constants` are the arrays beside it. Raises `Rejected`
    with every finding: the first syntax error, or all that is wrong with the ops.
    """
    tree = _parse("ir", text, source, SYNTAX)
    opcode, symbol, *rest = tree.children
    *middle, result = rest
    arguments = [_argument(node) for node in middle if _is(node, "argument")]
    records = [node for node in middle if _is(node, "record")]
    ops = [_op(node) for node in middle if _is(node, "op")]
    builder = GraphBuilder(source, constants or {})
    return builder.build(
        header=(str(opcode), str(symbol)[1:], _at(opcode)),
        arguments=arguments,
        attributes=_record(records[0]) if records else {},
        ops=ops,
        results=[(str(token)[1:], _at(token)) for token in _tokens(result)],
    )


def read_pipeline(text: str) -> list[PassSpec]:
    """Return the passes that a pipeline names; raises `Rejected` on a syntax error."""
    tree = _parse("pipeline", text, "", PIPELINE_SYNTAX)
    return [_step(node) for node in tree.children if isinstance(node, Tree)]


def _parse(grammar: str, text: str, source: str, rule: Rule) -> Tree[Token]:
    try:
        return _parser(grammar).parse(text)
    except UnexpectedInput as error:
        raise Rejected([_syntax_error(error, rule, source, text)], unusable=True) from None


def _syntax_error(error: UnexpectedInput, rule: Rule, source: str, text: str) -> Diagnostic:
    line, column = error.line, error.column
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        found = "the text ends"
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    elif isinstance(error, UnexpectedToken):
        found = f"`{error.token}`"
    else:
        at = error.pos_in_stream or 0
        found = f"`{text[at : at + 1]}`"
    allowed: set[str] = set()
    if isinstance(error, UnexpectedToken):
        allowed = error.accepts or error.expected
    elif isinstance(error, UnexpectedCharacters):
        allowed = error.allowed or set()
    expected = sorted({_TERMS.get(term, f"`{term.lower()}`") for term in allowed} - {"`ws`"})
    what = found if found == "the text ends" else f"{found} is not expected"
    notes = [f"expected {_either(expected)}"] if expected else []
    return rule.at(Loc(source, (), max(line, 0), max(column, 0)), notes=notes, what=what)


def _either(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def _is(node: object, name: str) -> bool:
    return isinstance(node, Tree) and node.data == name


def _tokens(node: object) -> list[Token]:
    assert isinstance(node, Tree)
    return [child for child in node.children if isinstance(child, Token)]


def _at(node: object) -> tuple[int, int]:
    if isinstance(node, Token):
        return (node.line or 0, node.column or 0)
    assert isinstance(node, Tree)
    return (node.meta.line, node.meta.column)


def _argument(node: object) -> OpText:
    assert isinstance(node, Tree)
    name, kind, loc = node.children
    return OpText(str(name)[1:], "ir.input", (), {}, _tensor(kind), _nodes(loc), _at(node))


def _op(node: object) -> OpText:
    assert isinstance(node, Tree)
    name, opcode, *middle, record, kind, loc = node.children
    operands = tuple(_operand(child) for child in middle if child is not None)
    attributes = _record(record) if record is not None else {}
    return OpText(
        str(name)[1:],
        str(opcode),
        operands,
        attributes,
        _tensor(kind),
        _nodes(loc),
        _at(node),
    )


def _operand(node: object) -> str | tuple[str, ...] | None:
    assert isinstance(node, Tree)
    if node.data == "absent":
        return None
    names = tuple(str(token)[1:] for token in _tokens(node))
    return names[0] if node.data == "single" else names


def _nodes(node: object) -> tuple[str, ...]:
    return () if node is None else tuple(_unquote(token) for token in _tokens(node))


def _unquote(token: object) -> str:
    try:
        return str(json.loads(str(token)))
    except json.JSONDecodeError:
        return str(token)[1:-1]


def _tensor(node: object) -> tuple[str, float | None]:
    assert isinstance(node, Tree)
    shape, scale = node.children
    return str(shape), None if scale is None else float(str(scale))


def _record(node: object) -> dict[str, Raw]:
    assert isinstance(node, Tree)
    pairs = [child for child in node.children if isinstance(child, Tree)]
    return {str(pair.children[0]): _value(pair.children[1]) for pair in pairs}


def _value(node: object) -> Raw:
    assert isinstance(node, Tree)
    first = node.children[0] if node.children else None
    match node.data:
        case "yes" | "no" | "none":
            return {"yes": True, "no": False, "none": None}[node.data]
        case "integer" | "real" | "string" | "mask":
            return _scalar(str(node.data), str(first))
        case "tuple":
            return [_value(child) for child in node.children if child is not None]
        case "dense" | "splat":
            return (str(node.data), _value(first))
        case "file":
            return ("file", _unquote(first))
        case "tensor":
            return ("tensor", _tensor(node))
        case _:
            return _record(node)


def _scalar(kind: str, text: str) -> Raw:
    match kind:
        case "integer":
            return int(text)
        case "real":
            return float(text)
        case "mask":
            return ("mask", int(text, 16))
        case _:
            return _unquote(text)


def _step(node: Tree[Token]) -> PassSpec:
    name, *options = node.children
    pairs = [option.children for option in options if isinstance(option, Tree)]
    return PassSpec(str(name), {str(key): _option(value) for key, value in pairs})


def _option(node: object) -> object:
    assert isinstance(node, Tree)
    text = str(node.children[0])
    match node.data:
        case "integer":
            return int(text)
        case "real":
            return float(text)
        case "string":
            return _unquote(text)
        case _:
            return {"true": True, "false": False}.get(text, text)
