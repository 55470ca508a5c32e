"""Time of the passes of the float level.

python benchmarks/float_passes.py [RESULT.json]   (from the root of the repository; seconds)

Prints tables and writes them as JSON: the pipeline `float` on the example networks, and on chains
of growing length, where the time for a layer shows whether the passes take linear time. Times are
the best of three.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ai8xc.dialects import nn
from ai8xc.driver import load, passes_of
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.hooks import Timer
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.types import TensorType
from ai8xc.plugins import load_passes

ROOT = Path(__file__).parents[1]
NAMES = ("mnist", "digits")
CHANNELS = 8
Row = dict[str, object]
Layer = Callable[[int, Op], Op]

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def constant(name: str, *shape: int) -> Op:
    """Positive numbers around 1, so that long chains stay finite."""
    stream = np.random.RandomState(len(name))
    values = stream.uniform(0.5, 1.5, shape).astype(np.float32)
    return nn.Constant(Data(values), name=name)


def torch_layer(n: int, x: Op) -> Op:
    """Convolution, batch norm, ReLU, dropout."""
    weight = constant(f"w{n}", CHANNELS, CHANNELS, 3, 3)
    conv = nn.Conv(x, weight, pads=(1, 1, 1, 1), name=f"conv{n}")
    norm = nn.BatchNorm(conv, *(constant(f"{p}{n}", CHANNELS) for p in "abmv"), name=f"bn{n}")
    return nn.Identity(nn.Relu(norm, name=f"relu{n}"), name=f"dropout{n}")


def tensorflow_layer(n: int, x: Op) -> Op:
    """The same with channels last: transposes around the convolution, a bias, a factor."""
    weight = constant(f"w{n}", CHANNELS, CHANNELS, 3, 3)
    first = nn.Transpose(x, FIRST, name=f"first{n}")
    padded = nn.Pad(first, (0, 0, 1, 1, 0, 0, 1, 1), name=f"pad{n}")
    last = nn.Transpose(nn.Conv(padded, weight, name=f"conv{n}"), LAST, name=f"last{n}")
    scaled = nn.Mul(last, constant(f"factor{n}", CHANNELS), name=f"scaled{n}")
    shifted = nn.Add(scaled, constant(f"bias{n}", CHANNELS), name=f"shifted{n}")
    return nn.Relu(shifted, name=f"relu{n}")


def residual(layer: Layer) -> Layer:
    """Return a layer with a join around it."""
    return lambda n, x: nn.Add(x, layer(n, x), name=f"sum{n}")


def chain(layer: Layer, count: int, *, last: bool) -> Graph:
    """A network of equal layers; with channels last as the import of such a model starts."""
    x = Input(TensorType((1, CHANNELS, 8, 8)), name="x")
    tensor: Op = nn.Transpose(x, LAST, name="x_last") if last else x
    for number in range(count):
        tensor = layer(number, tensor)
    return make_graph("chain", "nn", [x], [tensor])


def measured(graph: Graph) -> tuple[float, str, int]:
    """Seconds of the pipeline, its slowest pass, and how many ops it leaves."""
    best: Timer | None = None
    for _ in range(3):
        timer = Timer()
        result = run_pipeline(graph, passes_of("float"), PassContext(), [timer])
        if best is None or total(timer) < total(best):
            best = timer
    assert best is not None
    slowest = max(best.seconds, key=lambda entry: entry[1])[0]
    return total(best), slowest, sum(1 for op in result.ops if op.operands)


def total(timer: Timer) -> float:
    """Seconds of all passes."""
    return sum(seconds for _, seconds in timer.seconds)


def networks() -> list[Row]:
    """The example networks."""
    rows: list[Row] = []
    for name in NAMES:
        seconds, slowest, ops = measured(load(ROOT / "examples" / name / f"{name}.onnx"))
        row = {"network": name, "ms": round(1e3 * seconds, 2), "slowest": slowest, "ops": ops}
        rows.append(row)
    return rows


def growth(kind: str, layer: Layer, sizes: tuple[int, ...], *, last: bool = False) -> list[Row]:
    """Chains of different length."""
    rows: list[Row] = []
    for size in sizes:
        seconds, slowest, ops = measured(chain(layer, size, last=last))
        rows.append(
            {
                "chain": f"{size} {kind}",
                "ms": round(1e3 * seconds, 1),
                "ms a layer": round(1e3 * seconds / size, 3),
                "slowest": slowest,
                "ops": ops,
            }
        )
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
    load_passes()
    long, joined = (32, 64, 128), (10, 20, 40)
    results = {
        "networks": networks(),
        "chains": growth("layers", torch_layer, long),
        "channels last": growth("layers", tensorflow_layer, long, last=True),
        "residual": growth("joins", residual(torch_layer), joined),
        "residual, channels last": growth("joins", residual(tensorflow_layer), joined, last=True),
    }
    for title, rows in results.items():
        print(f"{title}\n{table(rows)}\n")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
