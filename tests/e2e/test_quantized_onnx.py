"""Quantised ONNX models compute the integers that onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.interp import run

pytest.importorskip("ai8xc.frontend.onnx_model", reason="needs the ONNX front end")

STREAM = np.random.RandomState(4)
X_STEP, W_STEP, Y_STEP, Z_STEP = (np.float32(2.0**-k) for k in (7, 7, 4, 2))
W1 = STREAM.randint(-127, 128, (4, 2, 3, 3)).astype(np.int8)
W2 = STREAM.randint(-127, 128, (3, 4 * 4)).astype(np.int8)
B1 = (STREAM.randint(-60, 60, 4) * 128).astype(np.int32)
ARRAYS = {
    "sx": X_STEP,
    "sw": W_STEP,
    "sy": Y_STEP,
    "sz": Z_STEP,
    "sb": X_STEP * W_STEP,
    "z": np.int8(0),
    "zb": np.int32(0),
    "w1": W1,
    "w2": W2,
    "b1": B1,
}


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], name=f"/{output}", **attributes)


QDQ = (
    node("QuantizeLinear", "x sx z", "xq"),
    node("DequantizeLinear", "xq sx z", "xr"),
    node("DequantizeLinear", "w1 sw z", "w1r"),
    node("DequantizeLinear", "b1 sb zb", "b1r"),
    node("Conv", "xr w1r b1r", "c", pads=[1, 1, 1, 1]),
    node("Relu", "c", "r"),
    node("QuantizeLinear", "r sy z", "rq"),
    node("DequantizeLinear", "rq sy z", "rr"),
    node("MaxPool", "rr", "p", kernel_shape=[2, 2], strides=[2, 2]),
    node("Flatten", "p", "f"),
    node("DequantizeLinear", "w2 sw z", "w2r"),
    node("Gemm", "f w2r", "g", transB=1),
    node("QuantizeLinear", "g sz z", "gq"),
    node("DequantizeLinear", "gq sz z", "y"),
)
QLINEAR = (
    node("QuantizeLinear", "x sx z", "xq"),
    node("QLinearConv", "xq sx z w1 sw z sy z b1", "cq", pads=[1, 1, 1, 1]),
    node("DequantizeLinear", "cq sy z", "y"),
)


def model(nodes: tuple[onnx.NodeProto, ...], folder: Path) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    read = {name for n in nodes for name in n.input}
    given = [numpy_helper.from_array(np.asarray(a), n) for n, a in ARRAYS.items() if n in read]
    graph = helper.make_graph(list(nodes), "net", [x], [y], given)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 10
    path = folder / "net.onnx"
    onnx.save(made, path)
    return path


def compared(path: Path) -> tuple[np.ndarray, np.ndarray, list[Diagnostic]]:
    """Steps of the output: what this compiler's integers are, and onnxruntime's."""
    result = compile_graph(load(path), Options(pipeline="float,integer"))
    steps = STREAM.randint(-128, 128, (200, 2, 4, 4)).astype(np.int8)
    (got,) = run(result.graph, {"x": steps})
    options = onnxruntime.SessionOptions()  # as written, step by step
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (real,) = session.run(None, {"x": steps * X_STEP})
    scale = result.graph.outputs[0].type.scale
    return got, np.rint(real / np.float32(scale)), result.diagnostics


@pytest.mark.parametrize("nodes", [QDQ, QLINEAR], ids=["QDQ", "QLinear"])
def test_integers_are_those_of_onnxruntime(
    nodes: tuple[onnx.NodeProto, ...], tmp_path: Path
) -> None:
    got, wanted, findings = compared(model(nodes, tmp_path))
    assert not findings
    assert len(np.unique(wanted)) > 20
    # the hardware rounds halves up, ONNX to even: one step, in few values
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() > 0.98


def test_integers_are_equal_where_no_half_is_rounded(tmp_path: Path) -> None:
    path = model(QLINEAR, tmp_path)
    got, wanted, _ = compared(path)
    halves = got - wanted == 1  # up instead of down to an even number
    assert (wanted[halves] % 2 == 0).all()
    np.testing.assert_array_equal(got[~halves], wanted[~halves])
