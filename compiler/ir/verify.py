"""The verifier: what must hold of every graph, and of each op by its own rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic, Rejected, declare, errors
from ai8xc.ir.loc import UNKNOWN

ORDER = declare(
    "IR001",
    "`%{operand}` is read before it is defined",
    "Ops stand in an order in which each follows all of its operands, so a graph has no cycles.",
)
NAME_TAKEN = declare(
    "IR002",
    "`%{name}` is defined twice",
    "Every op of a graph has its own name: text, dumps and messages refer to ops by name.",
)
WRONG_LEVEL = declare(
    "IR003",
    "`{opcode}` does not belong into a graph of level `{level}`",
    """A graph holds ops of one dialect: nn (float), q (integer), ai8x (hardware layers) or reg
    (register writes). A lowering pass replaces all of them at once.""",
)
OUTPUT_UNDEFINED = declare(
    "IR004",
    "the graph returns `%{name}`, which is not one of its ops",
    "Every value that a graph returns is defined in it.",
)
EMPTY_DIM = declare(
    "IR005",
    "`%{name}` has no values: its shape is {shape}",
    "Sizes are known and at least 1 in every graph; a tensor without values cannot be computed.",
)
NO_OUTPUT = declare(
    "IR006",
    "the graph returns nothing",
    "A network has at least one output.",
)

GraphCheck = Callable[[Graph], Iterator[Diagnostic]]
_CHECKS: dict[str, list[GraphCheck]] = {}


def level_check(level: str) -> Callable[[GraphCheck], GraphCheck]:
    """Add a check that looks at a whole graph of this level."""

    def decorate(check: GraphCheck) -> GraphCheck:
        _CHECKS.setdefault(level, []).append(check)
        return check

    return decorate


def verify(graph: Graph) -> list[Diagnostic]:
    """Return everything that is wrong with a graph, first the structure, then op by op."""
    findings = list(_structure(graph))
    if errors(findings):
        return findings
    for op in graph.ops:
        try:
            findings.extend(_op(op))
        except Rejected as rejected:  # the type of the op cannot be computed
            findings.extend(rejected.diagnostics)
            return findings
    for check in _CHECKS.get(graph.level, ()):
        findings.extend(check(graph))
    return findings


def _structure(graph: Graph) -> Iterator[Diagnostic]:
    seen: set[Op] = set()
    names: set[str] = set()
    for op in graph.ops:
        for operand in op.operands:
            if operand not in seen:
                yield ORDER.at(op, operand=operand.name)
        if op.name in names:
            yield NAME_TAKEN.at(op, name=op.name)
        if op.dialect not in (graph.level, "ir"):
            yield WRONG_LEVEL.at(op, opcode=op.opcode, level=graph.level)
        seen.add(op)
        names.add(op.name)
    if not graph.outputs:
        yield NO_OUTPUT.at(graph.ops[0].loc if graph.ops else UNKNOWN)
    for output in graph.outputs:
        if output not in seen:
            yield OUTPUT_UNDEFINED.at(output, name=output.name)


def _op(op: Op) -> Iterator[Diagnostic]:
    yield from op.verify()
    if any(size < 1 for size in op.type.shape):
        yield EMPTY_DIM.at(op, name=op.name, shape="x".join(map(str, op.type.shape)))
