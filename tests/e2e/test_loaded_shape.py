"""An input that a matrix reads as a vector is loaded in another shape; users give their own."""

from pathlib import Path

import numpy as np
import pytest

from ai8xc.backends.firmware.run import run_project
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.diag import Rejected

TEXT = """q.graph @net(%x: tensor<1x1x8x8xi8>) {
  %w = q.constant() {value = splat<1>} : tensor<2x64xi8>
  %f = q.reshape(%x) {shape = (1, 64)} : tensor<1x64xi8>
  %y = q.linear(%f, %w) {wide = true} : tensor<1x2xi32>
  return %y
}
"""


def test_samples_have_the_shape_of_the_model(tmp_path: Path) -> None:
    """The sum of all pixels, in whichever order they are loaded."""
    file = tmp_path / "net.ir"
    file.write_text(TEXT)
    options = Options("max78000", emit=frozenset({"c"}))
    compile_graph(load(file), options).write(tmp_path / "build")
    sample = np.arange(64, dtype=np.int8).reshape(1, 8, 8)
    report = run_project(tmp_path / "build", "registers", sample=sample)
    assert report.outputs[0].reshape(-1).tolist() == [2016, 2016]
    with pytest.raises(Rejected, match=r"the input's is \(1, 8, 8\)"):
        run_project(tmp_path / "build", "registers", sample=sample.reshape(8, 8, 1))
