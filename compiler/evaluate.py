"""How well the integers do: accuracy of the float and the integer network, noise of each layer."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.interp import run, values
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.passes import PassContext, Step
from ai8xc.ir.prove import feed, real_sample, snr_db, to_real
from ai8xc.ir.types import Array

BAD_DATA = declare(
    "IR063",
    "the data cannot be used: {why}",
    """Data for an evaluation are an `.npz` file with the arrays `x` (N x C x H x W, real values, or
    integers in steps of 1/128) and `y` (the class of each sample, or of each pixel).""",
)

RunOnnx = Callable[[Path, Graph, Mapping[str, Array]], tuple[Array, ...]]

_BATCH: Final = 100
_NOISE_SAMPLES: Final = 100


@dataclass(frozen=True)
class Evaluation:
    """Accuracies as fractions, and (layer, signal-to-noise ratio in dB) in the order of layers."""

    samples: int
    float_accuracy: float
    integer_accuracy: float
    agreement: float
    layers: tuple[tuple[str, float], ...]
    diagnostics: tuple[Diagnostic, ...] = ()


class _Before:
    """Hook that keeps the last float graph."""

    def __init__(self) -> None:
        self.graph: Graph | None = None

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        if before.level == "nn" and graph.level == "q":
            self.graph = before


def evaluate(model: Path, data: Mapping[str, Array], options: Options) -> Evaluation:
    """Return how a model does on labelled data; raises `Rejected` where it cannot be told."""
    graph = load(model)
    x, y = _checked(graph, data)
    keeper = _Before()
    text = options.pipeline
    if text is None:
        text = "float,integer" if graph.level == "nn" else ""
    hooks = (*options.hooks, keeper)
    result = compile_graph(graph, replace(options, pipeline=text, hooks=hooks))
    if result.graph.level != "q":
        raise _bad(f"the pipeline ends at level `{result.graph.level}`, not at integers")
    real = np.concatenate(list(_float_outputs(model, graph, x)))
    whole = np.concatenate([run(result.graph, feed(result.graph, [b]))[0] for b in _batches(x)])
    float_class, integer_class = _classes(real, y), _classes(whole, y)
    return Evaluation(
        len(x),
        float((float_class == y).mean()),
        float((integer_class == y).mean()),
        float((float_class == integer_class).mean()),
        tuple(layer_noise(keeper.graph, result.graph, x[:_NOISE_SAMPLES])) if keeper.graph else (),
        tuple(result.diagnostics),
    )


def layer_noise(real: Graph, whole: Graph, x: Array) -> Iterator[tuple[str, float]]:
    """Yield the signal-to-noise ratio of each integer op that a float op has the name of."""
    reference = {op.name: value for op, value in values(real, feed(real, [x])) if op.operands}
    for op, value in values(whole, feed(whole, [x])):
        before = reference.get(op.name)
        if op.operands and before is not None and before.shape == value.shape:
            yield op.name, snr_db(before, to_real(value, op.type))


def _checked(graph: Graph, data: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return samples as real values, and their classes."""
    missing = [name for name in ("x", "y") if name not in data]
    if missing:
        raise _bad(f"there is no array `{missing[0]}`")
    if len(graph.inputs) != 1:
        raise _bad(f"the network has {len(graph.inputs)} inputs")
    x, y = real_sample(data["x"]), data["y"]
    wanted = graph.inputs[0].type.shape[1:]
    if x.shape[1:] != wanted or not np.isfinite(x).all():
        shape = "x".join(map(str, ("N", *wanted)))
        raise _bad(f"`x` must hold finite numbers of shape {shape}, not {x.shape}")
    if not len(x) or len(x) != len(y) or y.dtype.kind not in "iu":
        raise _bad(f"`y` must hold one integer class for each of the {len(x)} samples")
    return x, y


def _float_outputs(model: Path, graph: Graph, x: Array) -> Iterator[Array]:
    if model.suffix.lower() == ".onnx":
        run_onnx: RunOnnx = pkgutil.resolve_name("ai8xc.frontend.onnx_runtime:run_onnx")
        yield from (run_onnx(model, graph, feed(graph, [batch]))[0] for batch in _batches(x))
    else:
        yield from (run(graph, feed(graph, [batch]))[0] for batch in _batches(x))


def _batches(x: Array) -> Iterator[Array]:
    for start in range(0, len(x), _BATCH):
        yield x[start : start + _BATCH]


def _classes(scores: Array, y: Array) -> Array:
    """Return the class with the largest score, of each sample or pixel."""
    found = np.asarray(scores.argmax(axis=1)) if scores.ndim > 1 else (scores > 0).astype(np.int64)
    if found.size != y.size:
        raise _bad(f"`y` has {y.size} classes, the network gives {found.size}")
    return found.reshape(y.shape)


def _bad(why: str) -> Rejected:
    return Rejected([BAD_DATA.at(UNKNOWN, why=why)], unusable=True)
