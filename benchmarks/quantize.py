"""Accuracy and time of post-training quantisation on the example networks.

python benchmarks/quantize.py [RESULT.json]   (from the root of the repository; half a minute)

Prints tables and writes them as JSON. Accuracies are those of the whole fixed test sets,
calibration images come from the training sets. Times are the best of three.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ai8xc.dialects import nn
from ai8xc.driver import Options
from ai8xc.evaluate import evaluate
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.passes import PassContext
from ai8xc.ir.types import TensorType
from ai8xc.passes.quantize import Quantize

ROOT = Path(__file__).parents[1]
NAMES = ("mnist", "digits")
CALIBRATION = 256
Row = dict[str, object]


def accuracy(name: str, bits: int, calibration: np.ndarray | None) -> Row:
    """One evaluation of an example network."""
    model = ROOT / "examples" / name / f"{name}.onnx"
    data = np.load(model.with_name("test.npz"))
    options = Options(
        settings={"quantize": {"weight-bits": bits}},
        calibration=None if calibration is None else {"x": calibration},
    )
    found = evaluate(model, {"x": data["x"], "y": data["y"]}, options)
    return {
        "network": name,
        "bits": bits,
        "calibration": 0 if calibration is None else len(calibration),
        "float": round(found.float_accuracy, 4),
        "integer": round(found.integer_accuracy, 4),
        "agreement": round(found.agreement, 4),
        "snr_db": round(found.layers[-1][1], 1),
    }


def accuracies() -> list[Row]:
    """All networks, widths of weights, with and without calibration."""
    sys.path.insert(0, str(ROOT))
    rows = []
    for name in NAMES:
        images = importlib.import_module(f"examples.{name}.data").split()[0][:CALIBRATION]
        rows += [accuracy(name, b, given) for b in (8, 4, 2) for given in (None, images)]
    return rows


def process(name: str) -> Row:
    """Time and memory of a whole process from ONNX to integers, without calibration."""
    model = ROOT / "examples" / name / f"{name}.onnx"
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    seconds, memory = [], 0
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--pipeline", "float,integer", "--emit", "ir", "-o", f"{folder}/out"]
            command = [sys.executable, "-m", "ai8xc", "compile", str(model), *options]
            start = time.perf_counter()
            child = os.posix_spawn(sys.executable, command, os.environ, file_actions=quiet)
            _, status, usage = os.wait4(child, 0)
            seconds.append(time.perf_counter() - start)
            if status:
                raise RuntimeError(f"{' '.join(command)} failed")
            memory = max(memory, usage.ru_maxrss)
    return {"network": name, "seconds": round(min(seconds), 3), "megabytes": memory // 1024}


def chain(layers: int, *, residual: bool) -> Graph:
    """A network of equal layers, each with a join around it if `residual`."""
    stream = np.random.RandomState(0)
    x = Input(TensorType((1, 16, 8, 8)), name="x")
    tensor: Op = x
    for number in range(layers):
        weight = stream.normal(size=(16, 16, 3, 3)).astype(np.float32) / np.float32(9)
        layer = nn.Conv(
            tensor,
            nn.Constant(Data(weight), name=f"w{number}"),
            pads=(1, 1, 1, 1),
            activation="relu",
            name=f"layer{number}",
        )
        tensor = nn.Add(tensor, layer, name=f"sum{number}") if residual and number else layer
    return make_graph("chain", "nn", [x], [tensor])


def growth(*, residual: bool, sizes: tuple[int, ...]) -> list[Row]:
    """Time of the quantiser for networks of different length."""
    rows = []
    for size in sizes:
        graph = chain(size, residual=residual)
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            Quantize().run(graph, PassContext())
            seconds.append(time.perf_counter() - start)
        kind = "residual joins" if residual else "layers"
        rows.append({"chain": f"{size} {kind}", "seconds": round(min(seconds), 3)})
    return rows


def table(rows: list[Row]) -> str:
    """Rows with equal keys as text."""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def main() -> None:
    """Measure, print, and write the file that is asked for."""
    results = {
        # first: a child's peak memory is at least that of its parent when it starts
        "process": [process(name) for name in NAMES],
        "accuracy": accuracies(),
        "chains": growth(residual=False, sizes=(32, 64, 128)),
        "residual chains": growth(residual=True, sizes=(10, 20, 40)),
    }
    for title, rows in results.items():
        print(f"{title}\n{table(rows)}\n")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
