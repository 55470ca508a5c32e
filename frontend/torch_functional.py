"""Operations in place as ordinary ones: what reads an overwritten tensor reads the new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ai8xc.frontend.names import shown
from ai8xc.frontend.pt2_file import Argument, Call, Program, Ref
from ai8xc.frontend.rules import UNSUPPORTED
from ai8xc.frontend.torch_ops import VIEWS
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import Loc

Findings = list[Diagnostic]


def functional(program: Program) -> tuple[list[Call], list[str], Findings]:
    """Return calls and outputs of a program in which nothing is overwritten.

    A tensor may share its memory with others, its views. One that is read after another of them
    was overwritten has changed in a way that cannot be followed: a finding.
    """
    names = _Names(program.source)
    calls = []
    for call in program.calls:
        arguments = {key: names.renamed(given, call) for key, given in call.arguments.items()}
        calls.append(replace(call, arguments=arguments))
        names.note(calls[-1])
    outputs = [names.current(name, None) if name else "" for name in program.outputs]
    return calls, outputs, names.findings


class _Names:
    """Which tensor a name stands for by now, and which names share memory."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.newer: dict[str, str] = {}
        self.memory: dict[str, str] = {}
        self.stale: dict[str, str] = {}
        self.findings: Findings = []

    def current(self, name: str, reader: Call | None) -> str:
        """Return the tensor that a name stands for."""
        while name in self.newer:
            name = self.newer[name]
        if name in self.stale:
            place = (reader.module or reader.name) if reader else name
            finding = UNSUPPORTED.at(
                Loc(self.source, (shown(place),)),
                help="use the form that returns a new tensor, or export with `run_decompositions`",
                op=self.stale.pop(name),
                what=f"a view of the same tensor that is read later, `{shown(name)}`",
            )
            self.findings.append(finding)
        return name

    def renamed(self, given: Argument, reader: Call) -> Argument:
        """Return an argument with the tensors that its names stand for."""
        if isinstance(given, tuple):
            return tuple(self.renamed(part, reader) for part in given)
        return Ref(self.current(given.name, reader)) if isinstance(given, Ref) else given

    def note(self, call: Call) -> None:
        """Note what a call overwrites and whose memory its results share."""
        operands = list(_tensors(call))
        results = [name for name in call.results if name]
        in_place = call.op.rpartition(".")[0].endswith("_")
        if not operands or not (in_place or call.op in VIEWS):
            return
        target = operands[0]
        memory = self.memory.setdefault(target, target)
        if in_place and results:
            sharing = (name for name, root in self.memory.items() if root == memory)
            self.stale |= {name: call.op for name in sharing if name != target}
            self.newer[target] = results[0]
        self.memory |= dict.fromkeys(results, memory)


def _tensors(call: Call) -> Iterator[str]:
    for given in call.arguments.values():
        if isinstance(given, Ref):
            yield given.name
