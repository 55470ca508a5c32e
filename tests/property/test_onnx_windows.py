"""Convolutions and pools with any attributes: onnxruntime's values, ONNX's shapes, or a refusal."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_models import expected, model_of, node, saved

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.ir.diag import Rejected
from ai8xc.ir.interp import run

Draw = st.DrawFn
Case = tuple[str, str, int, dict[str, np.ndarray], dict[str, object]]
"""Operator, names of its inputs, opset, arrays by name, attributes."""

OUTCOMES = ("equal", "not run", "NN011", "NN016")
"""Values are equal, or onnxruntime or the import cannot run this form, or nothing would remain."""


def values(draw: Draw, *shape: int) -> np.ndarray:
    seed = draw(st.integers(0, 99))
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sizes(draw: Draw, count: int, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))


def geometry(draw: Draw, rank: int, largest_pad: int) -> dict[str, object]:
    """Return some of the attributes that place windows."""
    found: dict[str, object] = {}
    if draw(st.booleans()):
        found["strides"] = sizes(draw, rank, 1, 3)
    if draw(st.booleans()):
        found["dilations"] = sizes(draw, rank, 1, 3)
    padding = draw(st.sampled_from(["", "pads", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if padding == "pads":
        found["pads"] = sizes(draw, 2 * rank, 0, largest_pad)
    elif padding:
        found["auto_pad"] = padding
    return found


@st.composite
def convolutions(draw: Draw) -> Case:
    kind = draw(st.sampled_from(["Conv", "ConvTranspose"]))
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    ins, outs = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = sizes(draw, rank, 1, 4)
    attributes = geometry(draw, rank, 3) | {"group": groups}
    channels = (outs, ins // groups) if kind == "Conv" else (ins, outs // groups)
    arrays = {"x": values(draw, draw(st.integers(1, 2)), ins, *sizes(draw, rank, 1, 8))}
    arrays["w"], arrays["b"] = values(draw, *channels, *kernel), values(draw, outs)
    if kind == "ConvTranspose" and draw(st.booleans()):
        attributes["output_padding"] = sizes(draw, rank, 0, 2)
    if draw(st.booleans()):
        attributes["kernel_shape"] = kernel
    names = draw(st.sampled_from(["x w", "x w b"]))
    return kind, names, draw(st.integers(9, 22)), arrays, attributes


@st.composite
def pools(draw: Draw) -> Case:
    kind, rank = draw(st.sampled_from(["MaxPool", "AveragePool"])), draw(st.integers(1, 3))
    attributes = geometry(draw, rank, 2) | {"kernel_shape": sizes(draw, rank, 1, 4)}
    if draw(st.booleans()):
        attributes["ceil_mode"] = 1
    if kind == "AveragePool" and draw(st.booleans()):
        attributes["count_include_pad"] = 1
    arrays = {"x": values(draw, 1, 2, *sizes(draw, rank, 1, 10))}
    return kind, "x", draw(st.integers(19, 22)), arrays, attributes


def compare(case: Case) -> str:
    """Check one model; return what happened."""
    kind, names, opset, arrays, attributes = case
    feeds = {"x": arrays["x"]}
    constants = {name: arrays[name] for name in names.split() if name != "x"}
    model = model_of([node(kind, names, **attributes)], feeds, constants, opset=opset)
    with TemporaryDirectory() as folder:
        path = saved(model, Path(folder))
        try:
            graph = read_onnx(path)
        except Rejected as rejected:
            return " ".join(sorted({finding.rule.id for finding in rejected.diagnostics}))
        try:
            (theirs,) = expected(path, feeds)
        except Exception:  # onnxruntime has no class of its own for models it cannot run
            return "not run"
    (ours,) = run(graph, {"x": arrays["x"]})
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4)
    assert graph.outputs[0].type.shape == ours.shape
    if attributes.keys() & {"ceil_mode", "output_padding"}:
        return "equal"  # onnx infers the shapes of an earlier definition for some of these
    inferred = onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.shape
    assert ours.shape == tuple(d.dim_value for d in inferred.dim)
    return "equal"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(convolutions())
def test_convolutions(case: Case) -> None:
    assert compare(case) in OUTCOMES


@settings(max_examples=150, deadline=None, derandomize=True)
@given(pools())
def test_pools(case: Case) -> None:
    assert compare(case) in OUTCOMES


POOL = {"kernel_shape": [2], "strides": [1]}


@pytest.mark.parametrize(
    ("size", "attributes"),
    [
        (4, POOL | {"auto_pad": "SAME_UPPER", "dilations": [2]}),
        (7, POOL | {"auto_pad": "SAME_LOWER", "strides": [4]}),
        (2, {"kernel_shape": [2], "pads": [1, 1], "dilations": [3]}),
    ],
    ids=["SAME with dilations", "SAME with wide strides", "window in the padding"],
)
def test_pools_whose_meaning_differs_are_refused(size: int, attributes: dict[str, object]) -> None:
    x = np.zeros((1, 1, size), np.float32)
    for kind in ("MaxPool", "AveragePool"):
        assert compare((kind, "x", 19, {"x": x}, attributes)) == "NN011"
    assert compare(("MaxPool", "x", 19, {"x": x}, POOL)) == "equal"
