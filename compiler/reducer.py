"""The smallest part of a failing model that still fails in the same way.

Reduction is greedy and deterministic: the first smaller model that still fails takes the place of
the model, until none does. Every candidate goes through a file, so that readers take part.
"""

from __future__ import annotations

import pkgutil
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from ai8xc.driver import Options, compile_graph, load
from ai8xc.files import ir_files, read_bytes
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Rejected, declare, errors
from ai8xc.ir.loc import Loc
from ai8xc.ir.passes import PassFailed

NO_FAILURE = declare(
    "IR067",
    "`{name}` does not fail like that: {why}",
    """A model is reduced while its failure stays the same: a rule that it breaks, a mistake of the
    compiler, or a command that ends with exit code 0. The model itself must fail so.""",
)
NOT_REDUCED = declare(
    "IR068",
    "`{name}` is of no kind that can be reduced",
    "Models in `.onnx` files and graphs in `.ir` files can be reduced.",
)

MAX_BYTES: Final = 2**31 - 1
Files = dict[str, bytes]
"""The files of a model by the suffix of their name."""


@dataclass(frozen=True)
class Failure:
    """How a model fails: the rules it breaks, or where and how the compiler broke."""

    rules: frozenset[str] = frozenset()
    crash: str = ""

    def __str__(self) -> str:
        return self.crash or ", ".join(sorted(self.rules)) or "nothing is wrong"


def failure(path: Path, device: str) -> Failure:
    """Return what compiling a model with all its proofs comes to."""
    options = Options(device, emit=frozenset({"registers"}), prove=lambda line: None)
    try:
        compile_graph(load(path), options)
    except Rejected as rejected:
        return Failure(frozenset(d.rule.id for d in errors(rejected.diagnostics)))
    except PassFailed as failed:
        cause = failed.__cause__
        return Failure(crash=f"{failed.left[0].name}: {type(cause).__name__}")
    except Exception as error:
        return Failure(crash=type(error).__name__)
    return Failure()


Fails = Callable[[Path], bool]


def breaks(rule: str, device: str) -> Fails:
    """Return whether a model breaks a rule."""
    return lambda path: rule in failure(path, device).rules


def fails_like(wanted: Failure, device: str) -> Fails:
    """Return whether a model fails in exactly one way."""
    return lambda path: failure(path, device) == wanted


def command_succeeds(command: str, seconds: float = 60) -> Fails:
    """Return whether a command ends with 0; `{}` in it stands for the model."""

    def fails(path: Path) -> bool:
        words = [word.replace("{}", str(path)) for word in shlex.split(command)]
        try:
            done = subprocess.run(words, capture_output=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    return fails


def reduced(model: Path, fails: Fails) -> Files:
    """Return the files of the smallest model found; raises `Rejected` where it does not fail."""
    kinds: dict[str, Callable[[Path, _Test], Files]] = {".ir": _ir, ".onnx": _onnx}
    reduce = kinds.get(model.suffix.lower())
    if reduce is None:
        finding = NOT_REDUCED.at(Loc(model.name), name=model.name)
        raise Rejected([finding], unusable=True)
    with TemporaryDirectory(prefix="ai8xc-") as folder:
        test = _Test(Path(folder) / f"model{model.suffix.lower()}", fails)
        return reduce(model, test)


@dataclass(frozen=True)
class _Test:
    """Asks the user's question about files; `path` is where they are written."""

    path: Path
    fails: Fails

    def __call__(self, files: Files) -> bool:
        for suffix in (".ir", ".npz", ".onnx"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)
        for suffix, content in files.items():
            self.path.with_suffix(suffix).write_bytes(content)
        return self.fails(self.path)


def _check_first(model: Path, test: _Test, files: Files) -> None:
    if not test(files):
        finding = NO_FAILURE.at(Loc(model.name), name=model.name, why="as it is, it does not")
        raise Rejected([finding], unusable=True)


def _onnx(model: Path, test: _Test) -> Files:
    smaller: Callable[[bytes], Iterator[bytes]]
    smaller = pkgutil.resolve_name("ai8xc.frontend.onnx_smaller:smaller_models")
    content = read_bytes(model, MAX_BYTES)
    _check_first(model, test, {".onnx": content})
    found: bytes | None = content
    while found is not None:
        content = found
        found = next((c for c in smaller(content) if test({".onnx": c})), None)
    return {".onnx": content}


def _ir(model: Path, test: _Test) -> Files:
    graph = load(model)
    _check_first(model, test, graph_files(graph))
    found: Graph | None = graph
    while found is not None:
        graph = found
        found = next((g for g in smaller_graphs(graph) if test(graph_files(g))), None)
    return graph_files(graph)


def graph_files(graph: Graph) -> Files:
    """Return the files of a graph by suffix."""
    return {Path(name).suffix: data for name, data in ir_files("model", graph).items()}


def smaller_graphs(graph: Graph) -> Iterator[Graph]:
    """Yield graphs with less in them: shorter ones first, then those with plainer constants."""
    for made in (*_ends(graph), *_starts(graph), *_without_one(graph)):
        if len(made.ops) < len(graph.ops):
            yield made
    if len(graph.outputs) > 1:
        for output in graph.outputs:
            yield _rebuilt(graph, {}, [output])
    yield from _plainer(graph)


def _rebuilt(graph: Graph, new: dict[Op, Op], outputs: Sequence[Op]) -> Graph:
    """Return the graph with ops replaced, without those that no output needs."""
    wanted = _needed(outputs, new)
    made: dict[Op, Op] = dict(new)
    for op in graph.ops:
        if op in wanted and op not in new:
            made[op] = op.with_operands(made)
    ends = [made[op] for op in outputs]
    return make_graph(graph.name, graph.level, [], dict.fromkeys(ends), graph.attributes)


def _needed(outputs: Sequence[Op], new: dict[Op, Op]) -> set[Op]:
    found: set[Op] = set()
    left = list(outputs)
    while left:
        op = left.pop()
        if op not in found:
            found.add(op)
            left += new[op].operands if op in new else op.operands
    return found


def _computed(graph: Graph) -> list[Op]:
    return [op for op in graph.ops if op.operands]


def _ends(graph: Graph) -> Iterator[Graph]:
    """Yield the graph up to each op, the shortest first."""
    for op in _computed(graph):
        yield _rebuilt(graph, {}, [op])


def _starts(graph: Graph) -> Iterator[Graph]:
    """Yield the graph behind each op, whose value is an input then; the shortest first."""
    for op in reversed(_computed(graph)):
        if op not in graph.outputs:
            source: Op = Input(op.type, name=op.name, loc=op.loc)
            yield _rebuilt(graph, {op: source}, graph.outputs)


def _without_one(graph: Graph) -> Iterator[Graph]:
    """Yield the graph without each op that has the type of one of its operands."""
    for op in _computed(graph):
        for operand in op.operands:
            if operand.type == op.type and op not in graph.outputs:
                yield _rebuilt(graph, {op: operand}, graph.outputs)


def _plainer(graph: Graph) -> Iterator[Graph]:
    """Yield the graph with each constant of one value only."""
    for op in graph.ops:
        value = op.attributes().get("value")
        if isinstance(value, Data) and value.array.size > 1 and np.ptp(value.array) > 0:
            first = value.array.reshape(-1)[0]
            plain = replace(op, value=Data(np.full_like(value.array, first)))  # type: ignore[call-arg] # a field that it has
            yield _rebuilt(graph, {op: plain}, graph.outputs)
