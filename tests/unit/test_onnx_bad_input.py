"""Files that are no models, or none that can be compiled, give findings and nothing else."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from onnx_models import check, model_of, node, real, saved

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.verify import verify

X = real(1, 4, 6, 6)
MODEST_BYTES = 2**26
"""What reading may take for a few nodes, whatever sizes they speak of."""


def network() -> ModelProto:
    """Return a valid network with a little of everything."""
    nodes = [
        node("Conv", "x w b", "conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "conv b b b v", "norm"),
        node("Clip", "norm low high", "clipped"),
        node("MaxPool", "clipped", "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Add", "pooled pooled", "sum"),
        node("Reshape", "sum shape", "flat"),
        node("Gemm", "flat v2", "y", transB=1),
    ]
    constants = {
        "w": real(4, 4, 3, 3),
        "b": real(4),
        "v": np.abs(real(4)) + 1,
        "low": np.float32(0),
        "high": np.float32(6),
        "shape": np.array([1, -1], np.int64),
        "v2": real(3, 36),
    }
    return model_of(nodes, {"x": X}, constants)


def findings(model: ModelProto | bytes, folder: Path) -> list[Diagnostic]:
    path = folder / "bad.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(Rejected) as caught:
        read_onnx(path)
    assert caught.value.diagnostics
    return list(caught.value.diagnostics)


def ids(model: ModelProto | bytes, folder: Path) -> set[str]:
    return {finding.rule.id for finding in findings(model, folder)}


def test_the_network_is_valid(tmp_path: Path) -> None:
    check(saved(network(), tmp_path), {"x": X})


# Files


def unusable(path: Path) -> str:
    with pytest.raises(Rejected) as caught:
        read_onnx(path)
    (finding,) = caught.value.diagnostics
    assert caught.value.unusable
    return finding.rule.id


def test_no_file(tmp_path: Path) -> None:
    assert unusable(tmp_path / "none.onnx") == "NN001"
    assert unusable(tmp_path) == "NN001"
    os.mkfifo(tmp_path / "pipe.onnx")
    assert unusable(tmp_path / "pipe.onnx") == "NN001"


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(np.random.RandomState(seed).bytes(seed * 7))
    assert unusable(path) == "NN002"


def test_truncated_files(tmp_path: Path) -> None:
    whole = network().SerializeToString()
    for size in range(0, len(whole) - 1, 23):
        assert ids(whole[:size], tmp_path) <= {"NN002", "NN003", "NN044"}


# Graphs


def broken(change: Callable[[ModelProto], object]) -> ModelProto:
    model = network()
    change(model)
    return model


def initializer(model: ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def remove(model: ModelProto, name: str) -> None:
    model.graph.initializer.remove(initializer(model, name))


def set_value(model: ModelProto, name: str, index: int, value: float) -> None:
    array = onnx.numpy_helper.to_array(initializer(model, name)).copy()
    array.reshape(-1)[index] = value
    initializer(model, name).CopyFrom(onnx.numpy_helper.from_array(array, name))


def cycle(model: ModelProto) -> None:
    model.graph.node[4].input[1] = "flat"


def dims(*sizes: int) -> Callable[[ModelProto], object]:
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    return lambda m: m.graph.input[0].CopyFrom(info)


def element(kind: int) -> Callable[[ModelProto], object]:
    info = helper.make_tensor_value_info("x", kind, X.shape)
    return lambda m: m.graph.input[0].CopyFrom(info)


def opset(version: int) -> Callable[[ModelProto], object]:
    return lambda m: setattr(m.opset_import[0], "version", version)


def domain(m: ModelProto) -> None:
    m.opset_import.add(domain="com.example", version=1)
    m.graph.node[2].domain = "com.example"


def function(m: ModelProto) -> None:
    m.functions.add(name="Mine", domain="mine")


def attribute(name: str, value: object) -> Callable[[ModelProto], object]:
    return lambda m: m.graph.node[0].attribute.append(helper.make_attribute(name, value))


BROKEN = {
    "cycle": (cycle, "NN042"),
    "missing constant": (lambda m: remove(m, "w"), "NN040"),
    "constant twice": (lambda m: m.graph.initializer.append(initializer(m, "w")), "NN041"),
    "value twice": (lambda m: m.graph.node.append(m.graph.node[0]), "NN041"),
    "no output": (lambda m: m.graph.ClearField("output"), "NN044"),
    "unknown output": (lambda m: setattr(m.graph.output[0], "name", "nothing"), "NN040"),
    "short constant": (lambda m: initializer(m, "w").dims.append(2), "NN030"),
    "negative size of a constant": (lambda m: initializer(m, "w").dims.append(-2), "NN030"),
    "huge constant": (lambda m: initializer(m, "w").dims.append(2**40), "NN015"),
    "complex constant": (lambda m: setattr(initializer(m, "w"), "data_type", 14), "NN033"),
    "constant of no type": (lambda m: setattr(initializer(m, "w"), "data_type", 0), "NN033"),
    "integer weight": (lambda m: setattr(initializer(m, "w"), "data_type", 6), "NN014"),
    "integer input": (element(TensorProto.INT32), "NN014"),
    "string input": (element(TensorProto.STRING), "NN022"),
    "input without shape": (
        lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"),
        "NN022",
    ),
    "input of no type": (lambda m: m.graph.input[0].ClearField("type"), "NN022"),
    "zero size": (dims(1, 4, 0, 6), "NN021"),
    "negative size": (dims(1, 4, -6, 6), "NN021"),
    "huge input": (dims(1, 4, 2**40, 2**40), "NN015"),
    "symbolic size": (
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_param", "h"),
        "NN020",
    ),
    "other channels": (dims(1, 5, 6, 6), None),
    "two axes": (dims(1, 4), None),
    "NaN weight": (lambda m: set_value(m, "w", 5, np.nan), "NN031"),
    "infinite bias": (lambda m: set_value(m, "b", 1, np.inf), "NN031"),
    "infinite variance": (lambda m: set_value(m, "v", 1, -np.inf), "NN031"),
    "opset 0": (opset(0), "NN003"),
    "opset 8": (opset(8), "NN003"),
    "opset 1000": (opset(1000), "NN003"),
    "negative opset": (opset(-1), "NN003"),
    "domain": (domain, "NN010"),
    "function": (function, "NN043"),
    "unknown operator": (lambda m: setattr(m.graph.node[2], "op_type", "Frobnicate"), "NN010"),
    "strides of 0": (attribute("strides", [0, 1]), "NN013"),
    "negative dilations": (attribute("dilations", [-1, 1]), "NN013"),
    "huge strides": (attribute("strides", [2**62, 1]), "NN013"),
    "strides of another rank": (attribute("strides", [1]), "NN013"),
    "strides of another type": (attribute("strides", 1.5), "NN013"),
    "huge pads": (
        lambda m: m.graph.node[0].attribute[0].ints.__setitem__(0, 2**30),
        None,
    ),
    "group of 0": (attribute("group", 0), None),
    "negative group": (attribute("group", -1), None),
    "group of 3": (attribute("group", 3), None),
    "group of a text": (attribute("group", "many"), "NN013"),
    "auto_pad": (attribute("auto_pad", "SOMEHOW"), "NN013"),
    "kernel_shape": (attribute("kernel_shape", [5, 5]), "NN013"),
    "no operands": (lambda m: m.graph.node[0].ClearField("input"), "NN013"),
    "impossible shape": (lambda m: set_value(m, "shape", 1, 7), "NN013"),
    "negative shape": (lambda m: set_value(m, "shape", 0, -5), "NN013"),
    "shape with zero": (lambda m: set_value(m, "shape", 1, 0), None),
    "huge shape": (lambda m: set_value(m, "shape", 1, 2**62), "NN013"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_model(case: str, tmp_path: Path) -> None:
    change, rule = BROKEN[case]
    found = ids(broken(change), tmp_path)
    assert rule is None or rule in found


@pytest.mark.parametrize("kind", ["If", "Loop", "Scan"])
def test_control_flow(kind: str, tmp_path: Path) -> None:
    body = model_of([node("Relu", "a", "b")], {"a": X}, outputs="b").graph
    names = ("then_branch", "else_branch") if kind == "If" else ("body",)
    made = node(kind, "x", "y", **dict.fromkeys(names, body))
    (finding,) = findings(model_of([made], {"x": X}), tmp_path)
    assert finding.rule.id == "NN010"
    assert f"`{kind}`" in finding.message
    assert finding.help


def test_all_unknown_operators_are_named_at_once(tmp_path: Path) -> None:
    kinds = ("Sin", "Relu", "Erf", "LSTM", "Mine")
    values = ["x", "a", "b", "c", "d", "y"]
    nodes = [node(kind, values[i], values[i + 1]) for i, kind in enumerate(kinds)]
    found = findings(model_of(nodes, {"x": X}), tmp_path)
    assert [finding.rule.id for finding in found] == ["NN010"] * 4
    for finding, kind in zip(found, ("Sin", "Erf", "LSTM", "Mine"), strict=True):
        assert f"`{kind}`" in finding.message
        assert finding.loc.nodes[0].startswith(kind)


@pytest.mark.parametrize("size", [2**40, 2**62, -1])
def test_huge_constant_takes_no_memory(size: int, tmp_path: Path) -> None:
    nodes = [node("ConstantOfShape", "n", "c"), node("Add", "x c")]
    model = model_of(nodes, {"x": X}, {"n": np.array([size, size], np.int64)})
    assert ids(model, tmp_path) == {"NN013" if size < 0 else "NN015"}


@pytest.mark.parametrize("kind", ["Expand", "Range", "Resize", "Pad", "Add"])
def test_small_file_of_a_huge_network(kind: str, tmp_path: Path) -> None:
    wide = np.array([0, 0, 0, 0, 0, 0, 2**30, 2**30], np.int64)
    made, constants = {
        "Expand": ("Expand", {"c": np.float32(1), "n": np.array([2**40], np.int64)}),
        "Range": ("Range", {"a": np.int64(0), "b": np.int64(2**60), "c": np.int64(1)}),
        "Resize": ("Resize", {"s": np.array([1, 1, 2**20, 2**20], np.float32)}),
        "Pad": ("Pad", {"n": wide}),
        "Add": ("Add", {"c": real(2**15, 1, 1, 1, 1), "d": real(2**15, 1)}),
    }[kind]
    names = " ".join(constants)
    operands = {"Resize": "x _ s", "Pad": "x n"}.get(kind, names)
    nodes = [node(made, operands, "z"), node("Add", "x z")]
    model = model_of(nodes, {"x": X}, constants)
    tracemalloc.start()
    try:
        assert ids(model, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < MODEST_BYTES
    finally:
        tracemalloc.stop()


def test_empty_result(tmp_path: Path) -> None:
    (finding,) = findings(model_of([node("Shape", "x", start=2, end=1)], {"x": X}), tmp_path)
    assert finding.rule.id == "NN016"


@pytest.mark.parametrize("kind", ["QuantizeLinear", "DequantizeLinear"])
def test_zero_points_of_another_shape_than_scales(kind: str, tmp_path: Path) -> None:
    x = X if kind == "QuantizeLinear" else np.ones(X.shape, np.uint8)
    constants = {"s": np.ones(4, np.float32), "z": np.ones((1, 4), np.uint8)}
    assert ids(model_of([node(kind, "x s z")], {"x": x}, constants), tmp_path) == {"NN013"}


# Names


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    whole = network().SerializeToString()
    assert whole.count(b"clipped") > 1
    assert ids(whole.replace(b"clipped", b"cl\xff\xfeped"), tmp_path) <= {"NN002", "NN004"}


KEYWORDS = ("int", "while", "return", "class", "main", "NULL", "q", "relu", "x y", "a;b", "%0")


def test_names_that_mean_something_elsewhere(tmp_path: Path) -> None:
    names = ["x", *KEYWORDS]
    nodes = [
        helper.make_node("Relu", [a], [b], name=b) for a, b in zip(names, KEYWORDS, strict=False)
    ]
    model = model_of(nodes, {"x": X}, outputs="value")
    model.graph.output[0].name = KEYWORDS[-1]
    graph = check(saved(model, tmp_path), {"x": X})
    assert not list(verify(graph))


def test_ten_thousand_nodes(tmp_path: Path) -> None:
    count = 10_000
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    nodes = [node("Relu", names[i], names[i + 1]) for i in range(count)]
    path = saved(model_of(nodes[::-1], {"x": X}), tmp_path)
    graph = read_onnx(path)
    assert len(graph.ops) == count + 1


# Mutations

WHOLE = network().SerializeToString()


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6
    ),
    st.integers(0, 3),
)
def test_mutated_bytes_are_read_or_refused(changes: list[tuple[int, int]], cut: int) -> None:
    mutated = bytearray(WHOLE)
    for place, value in changes:
        mutated[place] = value
    if cut:
        del mutated[changes[0][0] : changes[0][0] + cut]
    read_or_refused(bytes(mutated))


STRUCTURE = [i for i in range(len(WHOLE)) if i < WHOLE.index(b"shape") or i > len(WHOLE) - 200]


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(STRUCTURE), st.integers(0, 255)), min_size=1, max_size=3))
def test_mutated_structure_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    """As above, where there are few weights."""
    mutated = bytearray(WHOLE)
    for place, value in changes:
        mutated[place] = value
    read_or_refused(bytes(mutated))


def read_or_refused(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        path.write_bytes(content)
        try:
            graph = read_onnx(path)
        except Rejected as rejected:
            outcome = len(rejected.diagnostics)
        else:
            outcome = len(graph.outputs)
        assert outcome
