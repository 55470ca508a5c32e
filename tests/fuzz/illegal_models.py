"""Random ONNX models that break one rule of the importer or of the quantiser."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ai8xc.device import Device
from ai8xc.driver import Options
from ai8xc.ir.diag import Rejected, errors
from ai8xc.survey import read, survey_model
from fuzz.onnx_networks import legal_onnx

Model = onnx.ModelProto
Break = Callable[[Model, Random], bytes | None]
"""Changes a model, or returns a file's content in its place."""


def behind(model: Model, kind: str, *more: str, **attributes: object) -> onnx.NodeProto:
    """Put a node behind the first convolution."""
    graph = model.graph
    first = graph.node[0]
    node = helper.make_node(kind, [first.output[0], *more], ["behind"], name="broken", **attributes)
    for other in graph.node[1:]:
        other.input[:] = ["behind" if name == first.output[0] else name for name in other.input]
    for output in graph.output:
        if output.name == first.output[0]:
            output.name = "behind"
    graph.node.insert(1, node)
    return node


def constant(model: Model, array: np.ndarray, name: str = "broken") -> str:
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def first_weight(model: Model) -> TensorProto:
    name = model.graph.node[0].input[1]
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def change(model: Model, made: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the values of the first weights."""
    tensor = first_weight(model)
    tensor.CopyFrom(numpy_helper.from_array(made(numpy_helper.to_array(tensor)), tensor.name))


def truncated(model: Model, random: Random) -> bytes:
    content = model.SerializeToString()
    return content[: random.randint(len(content) // 2, len(content) - 9)]


def old_opset(model: Model, random: Random) -> None:
    model.opset_import[0].version = random.choice([1, 2, 99, 1000])


def unknown(model: Model, random: Random) -> None:
    behind(model, random.choice(["NonZero", "Unknown", "TopK", "LSTM"]))


def turned_round(model: Model, random: Random) -> None:
    """A reversed axis has no counterpart."""
    shape = np.array([-1], np.int64)
    names = [constant(model, np.array([n], np.int64), f"n{i}") for i, n in enumerate((-1, -99, 2))]
    behind(model, "Slice", *names, constant(model, shape, "step"))


def computed_limit(model: Model, random: Random) -> None:
    """A limit that comes from data."""
    first = model.graph.node[0].output[0]
    behind(model, "Clip", first)


def unsupported(model: Model, random: Random) -> None:
    """A form of an operator that is known otherwise."""
    scales = constant(model, np.array([1, 1, 0.5, 0.5], np.float32))
    behind(model, "Resize", "", scales, mode=random.choice(["cubic", "linear"]))


def malformed(model: Model, random: Random) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("dilations", [0, 0]))


def many_axes(model: Model, random: Random) -> None:
    tensor = first_weight(model)
    tensor.dims.extend([1] * random.randint(20, 60))


def open_axis(model: Model, random: Random) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[random.choice([1, 2, 3])].dim_param = "n"


def empty_axis(model: Model, random: Random) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[random.choice([1, 2, 3])].dim_value = random.choice([0, -1])


def text_input(model: Model, random: Random) -> None:
    model.graph.input[0].type.tensor_type.elem_type = random.choice(
        [TensorProto.STRING, TensorProto.COMPLEX64]
    )


def damaged(model: Model, random: Random) -> None:
    tensor = first_weight(model)
    tensor.raw_data = tensor.raw_data[: -random.randint(1, 9)]


def not_finite(model: Model, random: Random) -> None:
    def broken(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[random.randrange(array.size)] = random.choice([np.nan, np.inf])
        return array

    change(model, broken)


def beyond_float(model: Model, random: Random) -> None:
    change(model, lambda array: array.astype(np.float64) + 10.0 ** random.randint(40, 300))


def complex_weights(model: Model, random: Random) -> None:
    change(model, lambda array: array.astype(np.complex64))


def outside(model: Model, random: Random) -> None:
    tensor = first_weight(model)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = random.choice(["/etc/hostname", "../w.bin", "a/../../w.bin"])
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value=place))


def undefined(model: Model, random: Random) -> None:
    model.graph.node[0].input[0] = "nowhere"


def twice(model: Model, random: Random) -> None:
    node = onnx.NodeProto()
    node.CopyFrom(model.graph.node[0])
    model.graph.node.append(node)


def cycle(model: Model, random: Random) -> None:
    first = model.graph.node[0]
    behind(model, "Relu")
    first.input[0] = "behind"


def function(model: Model, random: Random) -> None:
    opset = [helper.make_opsetid("", model.opset_import[0].version)]
    body = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(helper.make_function("own", "Mine", ["a"], ["b"], body, opset))
    model.opset_import.append(helper.make_opsetid("own", 1))
    behind(model, "Mine").domain = "own"


def no_output(model: Model, random: Random) -> None:
    del model.graph.output[:]


def no_integers(model: Model, random: Random) -> None:
    behind(model, random.choice(["Sigmoid", "Tanh"]))


def product(model: Model, random: Random) -> None:
    """A tensor times itself."""
    behind(model, "Mul", model.graph.node[0].output[0])


BREAKS: Final[tuple[tuple[str, Break], ...]] = (
    ("NN002", truncated),
    ("NN003", old_opset),
    ("NN010", unknown),
    ("AX110", turned_round),
    ("NN012", computed_limit),
    ("NN011", unsupported),
    ("NN013", malformed),
    ("NN019", many_axes),
    ("NN020", open_axis),
    ("NN021", empty_axis),
    ("NN022", text_input),
    ("NN030", damaged),
    ("NN031", not_finite),
    ("NN032", beyond_float),
    ("NN033", complex_weights),
    ("NN034", outside),
    ("NN040", undefined),
    ("NN041", twice),
    ("NN042", cycle),
    ("NN043", function),
    ("NN044", no_output),
    ("Q010", no_integers),
)


def illegal_model(
    random: Random, device: Device, entry: tuple[str, Break] | None = None
) -> tuple[str, bytes]:
    """Return the rule that is broken, and a file that breaks it."""
    rule, broken = entry or random.choice(BREAKS)
    model = legal_onnx(random)
    content = broken(model, random)
    return rule, model.SerializeToString() if content is None else content


def rules_of(content: bytes, device: Device, folder: Path) -> set[str]:
    """Return the rules that `check` finds broken."""
    path = folder / "net.onnx"
    path.write_bytes(content)
    try:
        found = survey_model(read(path), Options(device.name)).diagnostics
    except Rejected as rejected:
        found = tuple(rejected.diagnostics)
    return {finding.rule.id for finding in errors(found)}
