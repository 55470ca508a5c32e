"""A network as TensorFlow exports it (channels last) is the same as the torch export of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.frontend.onnx_runtime import run_onnx
from ai8xc.grammar.reader import read_pipeline
from ai8xc.ir.core import Graph, Input
from ai8xc.ir.interp import run
from ai8xc.ir.passes import PassContext, build, run_pipeline
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_passes

RNG = np.random.default_rng(7)
WEIGHT = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)
FC = RNG.normal(size=(5, 4 * 4 * 4)).astype(np.float32)
FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def model(path: Path, nodes: list[onnx.NodeProto], shape: list[object], **arrays: object) -> Path:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def torch_style(path: Path) -> Path:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], transB=1),
    ]
    return model(path, nodes, ["N", 3, 8, 8], w=WEIGHT, b=BIAS, m=FC)


def tensorflow_style(path: Path) -> Path:
    """Transposes around each layer, bias apart, a matrix for values in the order H, W, C."""
    matrix = FC.reshape(5, 4, 4, 4).transpose(2, 3, 1, 0).reshape(-1, 5)
    nodes = [
        helper.make_node("Transpose", ["x"], ["x1"], perm=FIRST),
        helper.make_node("Conv", ["x1", "w"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["c1"], ["c2"], perm=LAST),
        helper.make_node("Add", ["c2", "b"], ["c3"]),
        helper.make_node("Relu", ["c3"], ["r"]),
        helper.make_node("Transpose", ["r"], ["r1"], perm=FIRST),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["p1"], ["p2"], perm=LAST),
        helper.make_node("Reshape", ["p2", "s"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    size = np.array([-1, 64], np.int64)
    return model(path, nodes, ["N", 8, 8, 3], w=WEIGHT, b=BIAS, m=matrix, s=size)


def layers(graph: Graph) -> list[tuple[object, ...]]:
    """Return what each op is and holds, without names and places."""
    number = {op: index for index, op in enumerate(graph.ops)}
    return [
        (
            op.opcode,
            str(op.type),
            tuple(number[operand] for operand in op.operands),
            tuple(sorted((k, repr(v)) for k, v in op.attributes().items() if k != "value")),
            None if isinstance(op, Input) else _rounded(op),
        )
        for op in graph.ops
    ]


def _rounded(op: object) -> object:
    value = getattr(op, "value", None)
    return None if value is None else np.round(value.array, 5).tolist()


def optimised(path: Path) -> Graph:
    load_passes(())
    pipeline = build(read_pipeline(PIPELINES["float"]))
    return run_pipeline(read_onnx(path), pipeline, PassContext())


def test_same_graph(tmp_path: Path) -> None:
    theirs = optimised(tensorflow_style(tmp_path / "tf.onnx"))
    ours = optimised(torch_style(tmp_path / "torch.onnx"))
    assert sorted(map(str, layers(theirs))) == sorted(map(str, layers(ours)))


@pytest.mark.parametrize("style", [torch_style, tensorflow_style])
def test_onnxruntime_gets_its_own_layout(tmp_path: Path, style: object) -> None:
    path = style(tmp_path / "net.onnx")
    x = RNG.normal(size=(6, 3, 8, 8)).astype(np.float32)
    graph = read_onnx(path)
    assert graph.inputs[0].type.shape == (1, 3, 8, 8)
    (theirs,) = run_onnx(path, graph, {"x": x})
    (ours,) = run(graph, {"x": x})
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_layout_is_recorded(tmp_path: Path) -> None:
    assert read_onnx(tensorflow_style(tmp_path / "a.onnx")).get("input_layouts") == ("NHWC",)
    assert read_onnx(torch_style(tmp_path / "b.onnx")).get("input_layouts") is None


def one_channel(path: Path) -> Path:
    """Where there is one channel, exporters write a reshape for the transpose."""
    nodes = [
        helper.make_node("Reshape", ["x", "t"], ["x1"]),
        helper.make_node("Conv", ["x1", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "s"], ["y"]),
    ]
    weight = RNG.normal(size=(5, 1, 8, 8)).astype(np.float32)
    turn, flat = np.array([-1, 1, 8, 8], np.int64), np.array([-1, 5], np.int64)
    return model(path, nodes, ["N", 8, 8, 1], w=weight, t=turn, s=flat)


def test_one_channel(tmp_path: Path) -> None:
    path = one_channel(tmp_path / "net.onnx")
    x = RNG.normal(size=(6, 1, 8, 8)).astype(np.float32)
    graph = read_onnx(path)
    assert graph.inputs[0].type.shape == (1, 1, 8, 8)
    assert graph.get("input_layouts") == ("NHWC",)
    assert [op.opcode for op in graph.ops if op.operands] == ["nn.conv", "nn.reshape"]
    (theirs,) = run_onnx(path, graph, {"x": x})
    (ours,) = run(graph, {"x": x})
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
