"""What can be hung on a running pipeline: verify, print, dump, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ai8xc.ir.core import Data, Graph
from ai8xc.ir.diag import Diagnostic, errors
from ai8xc.ir.passes import PassContext, Step
from ai8xc.ir.printer import constants, print_graph
from ai8xc.ir.verify import verify

Say = Callable[[str], None]


class VerificationFailed(Exception):  # noqa: N818 - says what happened
    """A pass of ours returned a graph that breaks the rules of its level."""

    def __init__(self, step: Step, findings: list[Diagnostic]) -> None:
        self.findings = findings
        text = "\n".join(str(finding) for finding in findings)
        super().__init__(f"pass `{step.applied.name}` returned a wrong graph:\n{text}")


class VerifyEach:
    """Verify the graph after each pass."""

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Raise `VerificationFailed` if the pass broke the graph."""
        if graph is before:
            return
        findings = errors(verify(graph))
        if findings:
            raise VerificationFailed(step, findings)


@dataclass(frozen=True)
class PrintAfter:
    """Print the graph after one pass, or after all (`name` is "all"), or only where it changed."""

    say: Say
    name: str = "all"
    only_changes: bool = False

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Print the graph if this step is wanted."""
        if self.name not in ("all", step.applied.name):
            return
        if self.only_changes and graph is before:
            return
        self.say(f"// ----- after {step.applied} -----\n{print_graph(graph)}")


@dataclass(frozen=True)
class DumpIr:
    """Hand the text and the constants of each step to a writer, named `NN-<pass>`."""

    write: Callable[[str, str, Mapping[str, Data]], None]

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Write the graph that the step returned."""
        name = f"{step.number:02d}-{step.applied.name}"
        self.write(name, print_graph(graph), constants(graph))


@dataclass
class Timer:
    """Remember how long each pass took."""

    seconds: list[tuple[str, float]] = field(default_factory=list)

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Note the time of this step."""
        self.seconds.append((step.applied.name, step.seconds))

    def table(self) -> str:
        """Return a table of the steps, the slowest marked by its share."""
        total = sum(seconds for _, seconds in self.seconds) or 1.0
        rows = [
            f"{1000 * seconds:9.2f} ms {100 * seconds / total:5.1f} %  {name}"
            for name, seconds in self.seconds
        ]
        return "\n".join([*rows, f"{1000 * total:9.2f} ms 100.0 %  total"])
