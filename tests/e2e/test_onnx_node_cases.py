"""The node test cases of the package `onnx`: each passes or is refused as the table says.

`onnx_node_cases.csv` has a row for each case and form. A case is imported as it is, and again with
all inputs but the first as constants of the model, as networks have their weights and shapes.
A case is wrong if its values differ from those expected, or if anything but `Rejected` is raised;
no table excuses that. `PYTHONPATH=tests python tests/e2e/test_onnx_node_cases.py` writes the table
anew.
"""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase as Case
from onnx_models import as_imported

from ai8xc.frontend.onnx_model import read_onnx
from ai8xc.ir.diag import Rejected
from ai8xc.ir.interp import run
from ai8xc.ir.types import Array

TABLE = Path(__file__).with_name("onnx_node_cases.csv")
Value = Array | TensorProto
FORMS = ("as given", "constants")
WIDTHS = ("float16", "float64", "bfloat16")
"""Floats that the import makes 32 bits wide."""


class Verdict(NamedTuple):
    """What became of a case: `rules` has the ids it was refused with, or what is wrong."""

    case: str
    form: str
    result: str
    rules: str


class Table(NamedTuple):
    """The table on disk: for which version of `onnx`, and its rows."""

    version: str
    rows: set[Verdict]


def read_table() -> Table:
    with TABLE.open(newline="") as file:
        version = file.readline().removeprefix("# onnx ").strip()
        return Table(version, {Verdict(**row) for row in csv.DictReader(file)})


def write_table() -> None:
    with TABLE.open("w", newline="") as file:
        file.write(f"# onnx {onnx.__version__}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Verdict._fields)
        writer.writerows(sorted(verdicts()))


def verdicts() -> Iterator[Verdict]:
    with warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # the package's own references overflow in places
        path = Path(folder, "case.onnx")
        for case in collect_testcases(None):
            if case.kind != "node" or not case.data_sets:
                continue
            yield verdict(case, "as given", path)
            if len(case.model.graph.input) > 1 and tensors_only(case):
                yield verdict(case, "constants", path)


def tensors_only(case: Case) -> bool:
    kinds = (np.ndarray, np.generic, TensorProto)
    given = all(isinstance(value, kinds) for inputs, _ in case.data_sets for value in inputs)
    return given and len(case.data_sets) == 1


def verdict(case: Case, form: str, path: Path) -> Verdict:
    model = with_constants(case) if form == "constants" else case.model
    path.write_bytes(model.SerializeToString())
    try:
        wrong = [text for data in case.data_sets for text in compare(case, path, *data)]
    except Rejected as rejected:
        rules = sorted({finding.rule.id for finding in rejected.diagnostics})
        return Verdict(case.name, form, "refused", " ".join(rules))
    except Exception as error:
        return Verdict(case.name, form, "wrong", f"{type(error).__name__}: {error}")
    return Verdict(case.name, form, "wrong" if wrong else "pass", "; ".join(wrong))


def with_constants(case: Case) -> ModelProto:
    """Return the model with all inputs but the first as initialisers."""
    model = ModelProto()
    model.CopyFrom(case.model)
    ((inputs, _),) = case.data_sets
    for info, array in list(zip(model.graph.input, inputs, strict=True))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(array_of(array), info.name))
    return model


def compare(case: Case, path: Path, inputs: list[Value], outputs: list[Value]) -> Iterator[str]:
    """Yield how the values differ from those that are expected."""
    graph = read_onnx(path)
    names = [info.name for info in case.model.graph.input]
    given = dict(zip(names, map(array_of, inputs), strict=True))
    feeds = as_imported(graph, given)
    for index, (got, output) in enumerate(zip(run(graph, feeds), outputs, strict=True)):
        declared = array_of(output)
        half = declared.dtype.name in ("float16", "bfloat16")
        wanted = narrowed(declared)
        rtol, atol = (1e-2, 1e-3) if half else (case.rtol, case.atol)
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            yield f"output {index}: {got.dtype}{got.shape}, not {wanted.dtype}{wanted.shape}"
        elif got.dtype.kind != "f" and not np.array_equal(got, wanted):
            yield f"output {index}: {np.count_nonzero(got != wanted)} integers differ"
        elif got.dtype.kind == "f" and not np.allclose(got, wanted, rtol, atol, equal_nan=True):
            yield f"output {index}: differs by {np.nanmax(np.abs(got - wanted))}"


def array_of(value: Value) -> Array:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def narrowed(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.name in WIDTHS else array


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts())


def test_no_case_is_wrong(found: list[Verdict], capsys: pytest.CaptureFixture[str]) -> None:
    counts = Counter((row.form, row.result) for row in found)
    with capsys.disabled():
        for form in FORMS:
            told = ", ".join(f"{counts[form, r]} {r}" for r in ("pass", "refused", "wrong"))
            print(f"\nonnx {onnx.__version__} node cases, {form}: {told}", end="")
    assert counts["as given", "pass"] > 100
    assert [row for row in found if row.result == "wrong"] == []


def test_verdicts_are_those_of_the_table(found: list[Verdict]) -> None:
    table = read_table()
    if table.version != onnx.__version__:
        pytest.skip(f"the table is for onnx {table.version}")
    assert sorted(set(found) ^ table.rows) == []


if __name__ == "__main__":
    write_table()
