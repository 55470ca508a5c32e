"""Exported torch programs to graphs of the `nn` level.

The place of an op is the path of its module. The first axis of an input may be open: it becomes 1,
and the interpreter computes any number of samples at once. Floats of every width are 32 bits wide.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ai8xc.frontend import rules
from ai8xc.frontend.building import MAX_VALUES, Builder, constant, located, unusable_constants
from ai8xc.frontend.names import sanitised, shown
from ai8xc.frontend.pt2_file import Argument, Call, Program, Ref, Symbol, read_program
from ai8xc.frontend.torch_functional import functional
from ai8xc.frontend.torch_node import Node
from ai8xc.frontend.torch_ops import CONVERTERS, CURES
from ai8xc.ir.core import Graph, Input, Op, make_graph
from ai8xc.ir.diag import Diagnostic, Rejected, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Element, TensorType

_INTEGERS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "_operator.add": operator.add,
    "_operator.floordiv": operator.floordiv,
    "_operator.mul": operator.mul,
    "_operator.sub": operator.sub,
}
"""Arithmetic of sizes."""


def read_pt2(path: Path) -> Graph:
    """Return the network in a file that `torch.export.save` wrote."""
    return import_program(read_program(path, path.name), path.stem)


def import_program(program: Program, name: str) -> Graph:
    """Return the network of a program; raises `Rejected` with everything that is wrong with it.

    A program of integer layers gives a graph of the `q` level, any other one of the `nn` level.
    """
    from ai8xc.frontend.torch_integers import IntegerImporter, has_integers

    return (IntegerImporter if has_integers(program) else Importer)(program).graph(name)


class Importer:
    """The walk over one program; findings are collected, broken values are None."""

    level = "nn"
    converters = CONVERTERS

    def __init__(self, program: Program) -> None:
        self.program, self.loc = program, Loc(program.source)
        self.builder = Builder()
        self.findings: list[Diagnostic] = []
        self.values: dict[str, Op | None] = {}
        self.sizes: dict[str, int] = {}

    def graph(self, name: str) -> Graph:
        """Return the network; raises `Rejected` with all findings."""
        inputs = [op for op in map(self.input, self.program.inputs) if op is not None]
        calls, outputs, findings = functional(self.program)
        self.findings += findings
        live = _live(calls, outputs)
        self.modules = [call.module for call in live]
        read = {given for call in live for given in references(call)} | set(outputs)
        self.convert_all(live, read)
        ends = [output for output in outputs if output]
        found = [op for op in map(self.value, ends) if op is not None]
        if not ends:
            self.say(rules.NO_OUTPUT)
        if not self.findings:
            graph = make_graph(sanitised(name), self.level, inputs, found)
            self.findings.extend(unusable_constants(graph.ops))
        if self.findings:
            raise Rejected(self.findings)
        given = tuple(map(shown, self.program.inputs))
        return graph.having(inputs=given, outputs=tuple(map(shown, ends)))

    def convert_all(self, calls: Sequence[Call], read: set[str]) -> None:
        """Convert the calls that the outputs depend on."""
        for call in calls:
            self.convert(call, read)

    def say(self, rule: Rule, **values: object) -> None:
        """Record a finding about the program."""
        fields: dict[str, Any] = values  # fill the message of the rule
        self.findings.append(rule.at(self.loc, **fields))

    # Values

    def input(self, name: str) -> Input | None:
        """Return an input of the graph."""
        self.values[name] = None
        info = self.program.tensors.get(name)
        if info is None or info.element is None:
            self.say(rules.INPUT_TYPE, name=shown(name), what="no tensor of numbers")
            return None
        open_axes = [axis for axis, size in enumerate(info.sizes) if size is None and axis]
        for axis in open_axes:
            self.say(rules.INPUT_AXIS, name=shown(name), axis=axis, size="open")
        shape = tuple(1 if size is None else size for size in info.sizes)
        for axis, size in enumerate(shape):
            if size < 1:
                self.say(rules.INPUT_SIZE, name=shown(name), axis=axis, size=size)
        if math.prod(shape) > MAX_VALUES:
            self.say(rules.TOO_LARGE, name=shown(name), size=math.prod(shape))
        if self.findings:
            return None
        made = Input(
            self.input_type(shape, info.element), name=self.builder.names.claim(name), loc=self.loc
        )
        self.values[name] = made
        return made

    def input_type(self, shape: tuple[int, ...], element: Element) -> TensorType:
        """Return the type of an input."""
        return TensorType(shape, element)

    def value(self, name: str) -> Op | None:
        """Return a value that is read; None where it is broken, which has been said."""
        if name in self.values:
            return self.values[name]
        array = self.program.constants.get(name)
        if array is None:
            self.say(rules.UNDEFINED, name=shown(name))
            self.values[name] = None
            return None
        wanted = self.builder.names.claim(self.program.paths[name])
        made = replace(constant(array), name=wanted, loc=self.loc)
        self.values[name] = made
        return made

    # Calls

    def convert(self, call: Call, read: set[str]) -> None:
        """Convert one call; what it finds wrong is recorded."""
        results = [name for name in call.results if name]
        self.values.update(dict.fromkeys(results, None))
        loc = Loc(self.program.source, (shown(call.module or call.name),))
        if call.op in _INTEGERS or call.op.startswith("aten.sym_size"):
            self.size(call, loc)
            return
        converter = self.converters.get(call.op)
        if converter is None:
            self.findings.append(self.unknown(call, loc))
            return
        arguments = {key: self.argument(given) for key, given in call.arguments.items()}
        if any(broken(found) for found in arguments.values()):
            return
        used = tuple(name in read for name in call.results)
        node = Node(call.op, loc, self.builder.known, arguments, used)
        try:
            made = converter(node)
            many = made if isinstance(made, tuple) else (made,)
            for result, op in zip(call.results, many, strict=False):
                if op is not None and result is not None:
                    name = self.wanted(call, result, alone=sum(used) == 1)
                    self.values[result] = self.builder.adopt(self.lowered(op, node), name, loc)
        except Rejected as rejected:
            self.findings.extend(located(finding, loc) for finding in rejected.diagnostics)

    def unknown(self, call: Call, loc: Loc) -> Diagnostic:
        """Return the finding for an operation without a converter."""
        cure = CURES.get(call.op.split(".")[1].rstrip("_") if "." in call.op else call.op)
        return rules.UNKNOWN_OP.at(loc, op=shown(call.op), help=cure)

    def lowered(self, made: Op, node: Node) -> Op:
        """Return an op that a converter has made, at the level of the graph."""
        return made

    def wanted(self, call: Call, result: str, *, alone: bool) -> str:
        """Return a name: the module's where it has one op, else with the operation behind it.

        A result that is not the only one has the name that torch gives it.
        """
        if not call.module or not alone:
            return result
        single = self.modules.count(call.module) == 1
        return call.module if single else f"{call.module}.{call.op.split('.')[1]}"

    def argument(self, given: Argument) -> Argument | Op:
        """Return an argument with ops and numbers in place of names."""
        if isinstance(given, tuple):
            return tuple(self.argument(part) for part in given)
        if isinstance(given, Symbol):
            return self.sizes.get(given.name, given)
        if isinstance(given, Ref):
            found = self.value(given.name)
            return given if found is None else found
        return given

    def size(self, call: Call, loc: Loc) -> None:
        """Compute a size of a tensor, or with such sizes."""
        given = [self.argument(argument) for argument in call.arguments.values()]
        result = call.results[0] or ""
        match given:
            case [Op() as x, int(axis)] if -len(x.type.shape) <= axis < len(x.type.shape):
                self.sizes[result] = x.type.shape[axis]
            case [int(a), int(b)] if call.op in _INTEGERS and (b or "div" not in call.op):
                self.sizes[result] = _INTEGERS[call.op](a, b)
            case _ if not any(broken(found) for found in given):
                self.findings.append(rules.UNKNOWN_OP.at(loc, op=shown(call.op)))


def references(call: Call) -> Iterable[str]:
    """Yield what a call reads, in order."""
    pending = list(call.arguments.values())[::-1]
    while pending:
        given = pending.pop()
        if isinstance(given, tuple):
            pending.extend(given[::-1])
        elif isinstance(given, Ref | Symbol):
            yield given.name


def _live(calls: Iterable[Call], outputs: Iterable[str]) -> list[Call]:
    """Return the calls that the outputs depend on, in order."""
    wanted, found = set(outputs), []
    for call in reversed(list(calls)):
        if not wanted.isdisjoint(name for name in call.results if name):
            wanted.update(references(call))
            found.append(call)
    return found[::-1]


def broken(given: object) -> bool:
    """Whether an argument names something that could not be imported."""
    if isinstance(given, tuple):
        return any(broken(part) for part in given)
    return isinstance(given, Ref | Symbol)
