"""Small ONNX models for tests, and how their import compares with onnxruntime."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, helper, numpy_helper

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.ir.core import Graph
from ai8xc.ir.interp import run

RANDOM = np.random.RandomState(3)


def real(*shape: int) -> np.ndarray:
    """Return random 32-bit floats."""
    return RANDOM.standard_normal(shape).astype(np.float32)


def node(kind: str, inputs: str, outputs: str = "y", **attributes: object) -> NodeProto:
    """Return a node; `inputs` are separated by spaces, `_` stands for one that is absent."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), name=f"{kind}_{outputs}", **attributes)


def model_of(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: str = "y",
    opset: int = 17,
) -> ModelProto:
    """Return a model whose inputs have the shapes and types of the arrays."""
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in inputs.items()
    ]
    ends = [onnx.ValueInfoProto(name=name) for name in outputs.split()]
    given = [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "net", infos, ends, given)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 10
    return made


def saved(model: ModelProto, folder: Path) -> Path:
    """Return the path of the model on disk."""
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def imported(path: Path, feeds: Mapping[str, np.ndarray]) -> tuple[Graph, list[np.ndarray]]:
    """Return the import and what it computes; `feeds` are by the names of the model."""
    graph = read_onnx(path)
    arrays = as_imported(graph, feeds)
    return graph, list(run(graph, arrays))


def as_imported(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return inputs of the model as inputs of its import: 32-bit floats, channels first."""
    names = dict(graph.attributes)["inputs"]
    layouts = graph.get("input_layouts") or ("",) * len(names)
    arrays = {}
    for op, name, layout in zip(graph.inputs, names, layouts, strict=True):
        array = np.moveaxis(feeds[name], -1, 1) if layout else feeds[name]
        arrays[op.name] = array.astype(np.float32) if op.type.is_float else array
    return arrays


def expected(path: Path, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return what onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def check(path: Path, feeds: Mapping[str, np.ndarray], rtol: float = 1e-4) -> Graph:
    """Compare the import of a model with onnxruntime; returns the import."""
    graph, got = imported(path, feeds)
    for ours, theirs in zip(got, expected(path, feeds), strict=True):
        assert ours.shape == theirs.shape
        if theirs.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(ours, theirs)
    return graph
