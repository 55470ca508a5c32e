"""Small ONNX models compute after import what onnxruntime computes."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import check, imported, model_of, node, real, saved

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.ir.diag import Rejected

IMAGE, LINE = (2, 4, 9, 8), (2, 4, 11)


def conv(shape: tuple[int, ...], weight: tuple[int, ...], **attributes: object) -> tuple:
    return "Conv", shape, weight, attributes


CONVS = {
    "1-D": conv(LINE, (5, 4, 3)),
    "1-D, stride, dilation, pads": conv(LINE, (5, 4, 3), strides=[2], dilations=[2], pads=[3, 1]),
    "2-D": conv(IMAGE, (5, 4, 3, 3)),
    "kernel 5x2": conv(IMAGE, (5, 4, 5, 2)),
    "groups": conv(IMAGE, (6, 2, 3, 3), group=2),
    "depthwise": conv(IMAGE, (8, 1, 3, 3), group=4),
    "dilations": conv(IMAGE, (5, 4, 3, 3), dilations=[3, 2]),
    "strides": conv(IMAGE, (5, 4, 3, 3), strides=[3, 2]),
    "asymmetric pads": conv(IMAGE, (5, 4, 3, 3), pads=[0, 1, 2, 3]),
    "SAME_UPPER": conv(IMAGE, (5, 4, 2, 4), auto_pad="SAME_UPPER"),
    "SAME_LOWER": conv(IMAGE, (5, 4, 2, 4), auto_pad="SAME_LOWER"),
    "SAME_UPPER, strides": conv(IMAGE, (5, 4, 3, 3), auto_pad="SAME_UPPER", strides=[2, 3]),
    "SAME_LOWER, strides": conv(IMAGE, (5, 4, 3, 3), auto_pad="SAME_LOWER", strides=[2, 3]),
    "VALID": conv(IMAGE, (5, 4, 3, 3), auto_pad="VALID"),
}


@pytest.mark.parametrize("case", CONVS)
@pytest.mark.parametrize("inputs", ["x w", "x w b"], ids=["plain", "bias"])
def test_conv(case: str, inputs: str, tmp_path: Path) -> None:
    kind, shape, weight, attributes = CONVS[case]
    constants = {"w": real(*weight), "b": real(weight[0])}
    model = model_of([node(kind, inputs, **attributes)], {"x": real(*shape)}, constants)
    check(saved(model, tmp_path), {"x": real(*shape)})


TRANSPOSED = {
    "plain": {},
    "strides": {"strides": [2, 2]},
    "strides, pads, output_padding": {
        "strides": [2, 2],
        "pads": [1, 1, 1, 1],
        "output_padding": [1, 1],
    },
    "asymmetric pads": {"strides": [3, 2], "pads": [0, 1, 2, 1]},
    "dilations": {"dilations": [2, 1]},
    "groups": {"group": 2},
    "output_shape": {"strides": [2, 2], "output_shape": [18, 16]},
    "VALID": {"auto_pad": "VALID", "strides": [2, 2]},
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_conv_transpose(case: str, tmp_path: Path) -> None:
    attributes = TRANSPOSED[case]
    groups = attributes.get("group", 1)
    constants = {"w": real(4, 6 // groups, 3, 3), "b": real(6)}
    model = model_of([node("ConvTranspose", "x w b", **attributes)], {"x": real(*IMAGE)}, constants)
    check(saved(model, tmp_path), {"x": real(*IMAGE)})


POOLS = {
    "plain": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "stride 1": {"kernel_shape": [3, 2]},
    "ceil_mode": {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1},
    "pads": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "asymmetric pads": {"kernel_shape": [3, 3], "pads": [0, 1, 2, 0]},
    "pads, ceil_mode": {
        "kernel_shape": [3, 3],
        "strides": [2, 2],
        "pads": [1, 0, 1, 0],
        "ceil_mode": 1,
    },
    "dilations": {"kernel_shape": [2, 2], "dilations": [2, 3]},
    "SAME_UPPER": {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "SAME_LOWER": {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
}


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "AveragePool with pads"])
def test_pool(case: str, kind: str, tmp_path: Path) -> None:
    name, _, padded = kind.partition(" with ")
    attributes = POOLS[case] | ({"count_include_pad": 1} if padded else {})
    model = model_of([node(name, "x", **attributes)], {"x": real(*IMAGE)}, opset=19)
    check(saved(model, tmp_path), {"x": real(*IMAGE)})


def longs(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def single(value: float) -> np.ndarray:
    return np.array(value, np.float32)


BN = {"s": real(4), "b": real(4), "m": real(4), "v": np.abs(real(4)) + 0.5}
X, ROWS = real(*IMAGE), real(3, 6)
SINGLE = {
    "Gemm": (17, ROWS, node("Gemm", "x w c"), {"w": real(6, 5), "c": real(5)}),
    "Gemm, options": (
        17,
        ROWS,
        node("Gemm", "x w c", transA=1, transB=1, alpha=0.5, beta=2.0),
        {"w": real(5, 3), "c": real(6, 1)},
    ),
    "MatMul": (17, ROWS, node("MatMul", "x w"), {"w": real(6, 5)}),
    "MatMul, batched": (17, real(2, 3, 6), node("MatMul", "x w"), {"w": real(2, 6, 5)}),
    "MatMul, vector": (17, ROWS, node("MatMul", "x w"), {"w": real(6)}),
    "Clip, attributes": (9, X, node("Clip", "x", min=-0.3, max=0.7), {}),
    "Clip, inputs": (13, X, node("Clip", "x a b"), {"a": single(-0.3), "b": single(0.7)}),
    "Clip, maximum only": (13, X, node("Clip", "x _ b"), {"b": single(0.7)}),
    "Pad, attributes": (9, X, node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 3, 0], value=0.5), {}),
    "Pad, inputs": (
        13,
        X,
        node("Pad", "x p c"),
        {"p": longs(0, 0, 1, 2, 0, 0, 3, 0), "c": single(0.5)},
    ),
    "Pad, cropping": (13, X, node("Pad", "x p"), {"p": longs(0, 0, -1, 2, 0, 0, 0, -2)}),
    "Pad, reflect": (
        13,
        X,
        node("Pad", "x p", mode="reflect"),
        {"p": longs(0, 0, 1, 2, 0, 0, 3, 0)},
    ),
    "Pad, axes": (18, X, node("Pad", "x p _ a"), {"p": longs(1, 2), "a": longs(-1)}),
    "Slice, attributes": (9, X, node("Slice", "x", starts=[1, -3], ends=[99, -1], axes=[2, 3]), {}),
    "Slice, inputs": (
        13,
        X,
        node("Slice", "x s e a t"),
        {"s": longs(-1, 1), "e": longs(-99, 7), "a": longs(2, -1), "t": longs(-2, 3)},
    ),
    "Squeeze, attribute": (11, real(2, 1, 3, 1), node("Squeeze", "x", axes=[1]), {}),
    "Squeeze, input": (13, real(2, 1, 3, 1), node("Squeeze", "x a"), {"a": longs(-1)}),
    "Squeeze, all": (13, real(2, 1, 3, 1), node("Squeeze", "x"), {}),
    "Unsqueeze, attribute": (11, ROWS, node("Unsqueeze", "x", axes=[0, 3]), {}),
    "Unsqueeze, input": (13, ROWS, node("Unsqueeze", "x a"), {"a": longs(-1, 1)}),
    "Upsample": (9, X, node("Upsample", "x s"), {"s": np.array([1, 1, 2, 2], np.float32)}),
    "Resize of opset 10": (10, X, node("Resize", "x s"), {"s": np.array([1, 1, 2, 2], np.float32)}),
    "Resize, scales": (
        13,
        X,
        node("Resize", "x _ s", mode="nearest"),
        {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "Resize, sizes": (
        13,
        X,
        node(
            "Resize",
            "x _ _ n",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        {"n": longs(2, 4, 18, 16)},
    ),
    "BatchNormalization": (9, X, node("BatchNormalization", "x s b m v", epsilon=0.01), BN),
    "BatchNormalization of opset 15": (15, X, node("BatchNormalization", "x s b m v"), BN),
    "Softmax of opset 11": (11, X, node("Softmax", "x", axis=2), {}),
    "Softmax": (13, X, node("Softmax", "x", axis=1), {}),
    "Flatten": (13, X, node("Flatten", "x", axis=-2), {}),
    "Reshape": (13, X, node("Reshape", "x n"), {"n": longs(0, -1, 8)}),
    "Transpose": (13, X, node("Transpose", "x", perm=[0, 2, 3, 1]), {}),
    "ReduceMean, attribute": (13, X, node("ReduceMean", "x", axes=[2, 3], keepdims=0), {}),
    "ReduceMean, input": (18, X, node("ReduceMean", "x a"), {"a": longs(-1, -2)}),
    "GlobalMaxPool": (13, X, node("GlobalMaxPool", "x"), {}),
    "LeakyRelu": (13, X, node("LeakyRelu", "x", alpha=0.2), {}),
    "Div by a constant": (13, X, node("Div", "x c"), {"c": real(4, 1, 1) + 5}),
}


@pytest.mark.parametrize("case", SINGLE)
def test_operator(case: str, tmp_path: Path) -> None:
    opset, x, made, constants = SINGLE[case]
    check(saved(model_of([made], {"x": x}, constants, opset=opset), tmp_path), {"x": x})


@pytest.mark.parametrize(
    ("opset", "made", "constants"),
    [
        (11, node("Split", "x", "y z", axis=2, split=[2, 7]), {}),
        (13, node("Split", "x s", "y z", axis=2), {"s": longs(2, 7)}),
        (13, node("Split", "x", "y z", axis=1), {}),
        (18, node("Split", "x", "y z", axis=2, num_outputs=2), {}),
    ],
    ids=["attribute", "input", "equal", "num_outputs"],
)
def test_split(
    opset: int, made: onnx.NodeProto, constants: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = saved(model_of([made], {"x": X}, constants, outputs="y z", opset=opset), tmp_path)
    check(path, {"x": X})


# Integers


def bytes_of(kind: type[np.generic], *shape: int) -> np.ndarray:
    limits = np.iinfo(kind)
    return np.random.RandomState(5).randint(limits.min, limits.max + 1, shape).astype(kind)


# powers of two: all sums are exact, and the order of additions does not matter
STEPS = {"sx": single(2**-5), "sw": single(2**-7), "sy": single(2**-2), "z": np.uint8(120)}
WEIGHT = {"w": bytes_of(np.int8, 5, 4, 3, 3), "zw": np.int8(0)}


def test_qdq(tmp_path: Path) -> None:
    nodes = [
        node("QuantizeLinear", "x sx z", "q"),
        node("DequantizeLinear", "q sx z", "r"),
        node("DequantizeLinear", "w sc zc", "v", axis=0),
        node("Conv", "r v", "c"),
        node("QuantizeLinear", "c sy z", "y"),
    ]
    constants = (
        STEPS
        | WEIGHT
        | {"sc": np.exp2(-np.arange(5, 10)).astype(np.float32), "zc": np.zeros(5, np.int8)}
    )
    check(saved(model_of(nodes, {"x": X}, constants), tmp_path), {"x": X})


def test_qlinear_conv(tmp_path: Path) -> None:
    x = bytes_of(np.uint8, *IMAGE)
    constants = STEPS | WEIGHT | {"b": bytes_of(np.int16, 5).astype(np.int32)}
    made = node("QLinearConv", "x sx z w sw zw sy z b", pads=[1, 0, 1, 2])
    check(saved(model_of([made], {"x": x}, constants), tmp_path), {"x": x})


def test_qlinear_matmul(tmp_path: Path) -> None:
    x = bytes_of(np.uint8, 3, 6)
    constants = STEPS | {"w": bytes_of(np.int8, 6, 5), "zw": np.int8(3)}
    made = node("QLinearMatMul", "x sx z w sw zw sy z")
    check(saved(model_of([made], {"x": x}, constants), tmp_path), {"x": x})


def test_conv_integer(tmp_path: Path) -> None:
    x = bytes_of(np.uint8, *IMAGE)
    constants = {"w": bytes_of(np.uint8, 5, 4, 3, 3), "z": np.uint8(120), "zw": np.uint8(7)}
    made = node("ConvInteger", "x w z zw", pads=[1, 0, 1, 2])
    graph = check(saved(model_of([made], {"x": x}, constants), tmp_path), {"x": x})
    assert graph.outputs[0].type.element == "i32"


def test_four_bit_weights_keep_their_values(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.INT4, [2, 3], [-8, 7, 1, -1, 0, 5])
    nodes = [node("DequantizeLinear", "w s", "v"), node("MatMul", "x v", "y")]
    model = model_of(nodes, {"x": real(4, 2)}, {"s": single(0.5)}, opset=21)
    model.graph.initializer.append(weight)
    x = real(4, 2)
    _, (got,) = imported(saved(model, tmp_path), {"x": x})
    wanted = x @ (np.array([[-8, 7, 1], [-1, 0, 5]], np.float32) / 2)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_quantising_to_four_bits_is_refused(tmp_path: Path) -> None:
    model = model_of([node("QuantizeLinear", "x s z")], {"x": ROWS}, {"s": single(0.1)}, opset=21)
    model.graph.initializer.append(helper.make_tensor("z", TensorProto.INT4, [], [0]))
    with pytest.raises(Rejected) as caught:
        read_onnx(saved(model, tmp_path))
    assert [finding.rule.id for finding in caught.value.diagnostics] == ["NN011"]


# Types, batch, names


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_floats_of_other_widths(kind: type[np.floating], tmp_path: Path) -> None:
    x, weight = ROWS.astype(kind), real(6, 5).astype(kind)
    graph = check(
        saved(model_of([node("MatMul", "x w")], {"x": x}, {"w": weight}), tmp_path), {"x": x}, 1e-2
    )
    assert {op.type.element for op in graph.ops} == {"f32"}


@pytest.mark.parametrize("batch", ["N", None])
def test_open_batch(batch: str | None, tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Flatten", "c", "f"), node("Gemm", "f v")]
    model = model_of(nodes, {"x": X}, {"w": real(3, 4, 3, 3), "v": real(3 * 7 * 6, 5)})
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *IMAGE[1:]])
    model.graph.input[0].CopyFrom(info)
    x = real(7, *IMAGE[1:])
    graph = check(saved(model, tmp_path), {"x": x})
    assert graph.inputs[0].type.shape == (1, *IMAGE[1:])


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    nodes = [node("Add", "a b", "s"), node("Mul", "s c", "p"), node("Relu", "s", "r")]
    feeds = {"a": ROWS, "b": real(3, 6), "c": real(1, 6)}
    graph = check(saved(model_of(nodes, feeds, outputs="p r s"), tmp_path), feeds)
    assert dict(graph.attributes)["inputs"] == ("a", "b", "c")
    assert dict(graph.attributes)["outputs"] == ("p", "r", "s")


def test_names_that_are_no_identifiers(tmp_path: Path) -> None:
    names = ["input:0", "/a/b c", "%x", "über", "a.b", "a/b", "while"]
    nodes = [
        helper.make_node("Relu", [before], [after], name=after) for before, after in pairwise(names)
    ]
    model = model_of(nodes, {names[0]: ROWS}, outputs=names[-1])
    graph = check(saved(model, tmp_path), {names[0]: ROWS})
    assert dict(graph.attributes)["inputs"] == ("input:0",)
    ours = [op.name for op in graph.ops]
    assert len(set(ours)) == len(ours)


# External data


def external(folder: Path, location: str, length: int | None = None) -> Path:
    """Return a model whose weight lies in another file, which is not written here."""
    weight = numpy_helper.from_array(np.arange(30, dtype=np.float32).reshape(6, 5), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": "8"} | ({"length": str(length)} if length else {})
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    model = model_of([node("MatMul", "x w")], {"x": ROWS})
    model.graph.initializer.append(weight)
    folder.mkdir(exist_ok=True)
    return saved(model, folder)


DATA = b"\0" * 8 + np.arange(30, dtype="<f4").tobytes()


def refusal(path: Path) -> str:
    with pytest.raises(Rejected) as caught:
        read_onnx(path)
    (finding,) = caught.value.diagnostics
    return f"{finding.rule.id} {finding.message}"


def test_external_data(tmp_path: Path) -> None:
    path = external(tmp_path / "model", "w.bin", 120)
    (tmp_path / "model" / "w.bin").write_bytes(DATA)
    check(path, {"x": ROWS})


def test_external_data_outside_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "w.bin"
    outside.write_bytes(DATA)
    assert "an absolute path" in refusal(external(tmp_path / "model", str(outside)))
    assert "leaves the folder" in refusal(external(tmp_path / "model", "../w.bin"))
    (tmp_path / "model" / "link.bin").symlink_to(outside)
    assert "is a link" in refusal(external(tmp_path / "model", "link.bin"))
    (tmp_path / "model" / "folder").symlink_to(tmp_path)
    assert "is a link" in refusal(external(tmp_path / "model", "folder/w.bin"))
    os.link(outside, tmp_path / "model" / "hard.bin")
    assert "not a file of its own" in refusal(external(tmp_path / "model", "hard.bin"))


def test_external_data_that_are_not_there(tmp_path: Path) -> None:
    assert refusal(external(tmp_path / "model", "w.bin")).startswith("NN034")
    (tmp_path / "model" / "w.bin").write_bytes(DATA[:-1])
    assert refusal(external(tmp_path / "model", "w.bin")).startswith("NN030")
    assert refusal(external(tmp_path / "model", "w.bin", 16)).startswith("NN030")
