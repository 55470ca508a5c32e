"""The one boundary to onnxruntime: the float model as its author's framework would run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ai8xc.frontend.onnx_layout import to_last
from ai8xc.ir.core import Graph
from ai8xc.ir.types import Array


def run_onnx(path: Path, graph: Graph, inputs: Mapping[str, Array]) -> tuple[Array, ...]:
    """Return the outputs of a model for samples in the layout of `graph`, its import.

    `inputs` are the values of the graph's inputs by their names there, the first axis counting
    samples. A model with a fixed batch is run for as many samples at a time.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)  # errors only; the model is the user's
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {
        node.name: _as(node.type, _turned(inputs[op.name], layout))
        for node, op, layout in zip(
            session.get_inputs(), graph.inputs, _layouts(graph), strict=True
        )
    }
    sizes = {node.shape[0] for node in session.get_inputs() if node.shape}
    fixed = [size for size in sizes if isinstance(size, int)]
    step = fixed[0] if fixed else None
    count = len(next(iter(feeds.values())))
    if step is None or step == count:
        return tuple(np.asarray(output) for output in session.run(None, feeds))
    parts = []
    for start in range(0, count, step):
        part = {name: array[start : start + step] for name, array in feeds.items()}
        parts.append(session.run(None, part))
    return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))


def _as(declared: str, array: Array) -> Array:
    """Return an array in the float type that the model declares."""
    kinds = {"tensor(float16)": np.float16, "tensor(double)": np.float64}
    return array.astype(kinds[declared]) if declared in kinds else array


def _layouts(graph: Graph) -> tuple[str, ...]:
    given = graph.get("input_layouts")
    if isinstance(given, tuple):
        return tuple(map(str, given))
    return ("",) * len(graph.inputs)


def _turned(array: Array, layout: str) -> Array:
    """Return a batch of samples in the layout of the user's model."""
    return array.transpose(to_last(array.ndim)) if layout else array
