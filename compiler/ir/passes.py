"""Passes: named steps from graph to graph, their registry, pipelines and the driver's loop."""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, Rejected, declare, errors
from ai8xc.ir.loc import UNKNOWN

T = TypeVar("T")

NEEDS = declare(
    "IR010",
    "pass `{name}` needs a graph that is `{fact}`",
    """Each pass states what it needs and what it gives; a pipeline is right when every need is
    met when its pass starts. `ai8xc passes` lists both.""",
)
NO_PASS = declare(
    "IR011",
    "there is no pass `{name}`",
    "Passes and named pipelines are listed by `ai8xc passes`.",
)
BAD_OPTION = declare(
    "IR012",
    "pass `{name}` has no option `{option}` of that kind",
    "The options of a pass are listed by `ai8xc passes`.",
)


class PassContext:
    """What a run of the compiler gives its passes: values by their type, and a place to report.

    A pass asks for what it knows by type (`ctx.find(Device)`), so the core needs to know nothing
    of devices, calibration data or options.
    """

    def __init__(self, *given: object) -> None:
        self._given: dict[type, object] = {type(value): value for value in given}
        self.diagnostics: list[Diagnostic] = []

    def find(self, kind: type[T]) -> T | None:
        """Return the value of this type, None where the run was started without one."""
        value = self._given.get(kind)
        return value if isinstance(value, kind) else None

    def need(self, kind: type[T]) -> T:
        """Return the value of this type; it is our mistake when a pass runs without it."""
        value = self.find(kind)
        if value is None:
            raise LookupError(f"this step needs a {kind.__name__}")
        return value

    def give(self, value: object) -> None:
        """Add or replace the value of a type."""
        self._given[type(value)] = value

    def report(self, diagnostic: Diagnostic) -> None:
        """Record a finding; errors stop the compilation when the pass has returned."""
        self.diagnostics.append(diagnostic)


class Pass(ABC):
    """One step. Subclasses are frozen dataclasses: their fields are the options of the pass.

    `needs` and `gives` name facts (see `fact`) that hold before and after the step. A pass that
    keeps only the outputs of the network, and changes what is computed on the way under the same
    names, says so by `keeps_values`.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    gives: ClassVar[frozenset[str]] = frozenset()
    keeps_values: ClassVar[bool] = True

    @abstractmethod
    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the new graph; `graph` itself when there is nothing to do."""

    def __str__(self) -> str:
        """Return the pass as a pipeline writes it."""
        options = []
        for option in dataclasses.fields(self):  # type: ignore[arg-type] # by contract
            value = getattr(self, option.name)
            if value != option.default:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                options.append(f"{option.name.replace('_', '-')}={text}")
        return self.name + (f"{{{','.join(options)}}}" if options else "")


Fact = Callable[[Graph], bool]
_FACTS: dict[str, Fact] = {}
_PASSES: dict[str, type[Pass]] = {}
PassT = TypeVar("PassT", bound=type[Pass])


def fact(name: str) -> Callable[[Fact], Fact]:
    """Name something that can be seen of a graph, for `needs` and `gives`."""

    def decorate(check: Fact) -> Fact:
        _FACTS[name] = check
        return check

    return decorate


def facts() -> Mapping[str, Fact]:
    """Return the known facts by name."""
    return _FACTS


def register(cls: PassT) -> PassT:
    """Make a pass known by its name."""
    if _PASSES.get(cls.name, cls).__qualname__ != cls.__qualname__:
        raise ValueError(f"two passes are called {cls.name}")
    _PASSES[cls.name] = cls
    return cls


def passes() -> Mapping[str, type[Pass]]:
    """Return the passes of every module imported so far, by name."""
    return _PASSES


for _level in ("nn", "q", "ai8x", "reg"):
    fact(_level)(lambda graph, level=_level: graph.level == level)  # type: ignore[misc] # bound


@dataclass(frozen=True)
class PassSpec:
    """A pass as a pipeline names it, before its options are checked."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict)


def build(specs: Iterable[PassSpec]) -> list[Pass]:
    """Return the passes of a pipeline; raises `Rejected` with all that is wrong in it."""
    built: list[Pass] = []
    findings: list[Diagnostic] = []
    for spec in specs:
        cls = _PASSES.get(spec.name)
        if cls is None:
            findings.append(NO_PASS.at(UNKNOWN, help=_nearest(spec.name), name=spec.name))
            continue
        wrong = [key for key, value in spec.options.items() if not _fits(cls, key, value)]
        findings += [BAD_OPTION.at(UNKNOWN, name=spec.name, option=key) for key in wrong]
        if not wrong:
            options = {key.replace("-", "_"): value for key, value in spec.options.items()}
            built.append(cls(**options))
    if findings:
        raise Rejected(findings, unusable=True)
    return built


def _fits(cls: type[Pass], key: str, value: object) -> bool:
    options = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type] # by contract
    option = options.get(key.replace("-", "_"))
    if option is None:
        return False
    if isinstance(option.default, float):
        return isinstance(value, float | int) and not isinstance(value, bool)
    return type(value) is type(option.default)


def _nearest(name: str) -> str | None:
    import difflib

    close = difflib.get_close_matches(name, _PASSES, 1)
    return f"did you mean `{close[0]}`?" if close else None


class Hook(Protocol):
    """Something that watches a pipeline: printing, timing, checking, proving."""

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        """Called when a pass has returned; may raise `Rejected`."""


@dataclass(frozen=True)
class Step:
    """One pass of a running pipeline: its number (from 1), the time it took, what is to follow."""

    number: int
    applied: Pass
    seconds: float
    rest: Sequence[Pass]


class PassFailed(Exception):  # noqa: N818 - says what happened
    """A pass of ours broke (not the user's mistake): the graph it was given, and what was left.

    The driver writes both as a reproducer.
    """

    def __init__(self, graph: Graph, left: Sequence[Pass]) -> None:
        self.graph = graph
        self.left = tuple(left)
        super().__init__(f"pass `{left[0].name}` failed on graph `{graph.name}`")


def run_pipeline(
    graph: Graph, pipeline: Sequence[Pass], ctx: PassContext, hooks: Sequence[Hook] = ()
) -> Graph:
    """Run the passes in order and return the last graph.

    Raises `Rejected` with every finding of the first pass that reports errors, and `PassFailed`
    when a pass raises anything else.
    """
    for number, current in enumerate(pipeline, 1):
        left = pipeline[number - 1 :]
        _check_facts(current, current.needs, graph)
        start = time.perf_counter()
        before = graph
        try:
            graph = current.run(before, ctx)
            found = errors(ctx.diagnostics)
            step = Step(number, current, time.perf_counter() - start, left[1:])
            if not found:
                _check_gives(current, graph)
                for hook in hooks:
                    hook.after(step, before, graph, ctx)
        except Rejected:
            raise
        except Exception as exception:
            raise PassFailed(before, left) from exception
        if found:
            raise Rejected(ctx.diagnostics)
    return graph


def _check_facts(current: Pass, wanted: frozenset[str], graph: Graph) -> None:
    missing = [name for name in sorted(wanted) if not _FACTS[name](graph)]
    if missing:
        place = graph.ops[0].loc if graph.ops else UNKNOWN
        findings = [NEEDS.at(place, name=current.name, fact=name) for name in missing]
        raise Rejected(findings, unusable=True)


def _check_gives(current: Pass, graph: Graph) -> None:
    for name in sorted(current.gives):
        if not _FACTS[name](graph):
            raise RuntimeError(f"pass `{current.name}` did not give `{name}`")
