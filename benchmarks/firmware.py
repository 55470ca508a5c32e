"""What the generated firmware costs, and how fast the emulator runs it.

python benchmarks/firmware.py [RESULT.json] [--random N]   (from the root of the repository)

Compiles the MNIST example, executes its firmware and counts instructions; the same sources with a
plain loop in place of the block copy give the ratio. Prints a table and leaves with 1 where a limit
is missed. `--random N` compares integer graph, register program and firmware on N random networks
for each device instead. Times are the best of five.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.firmware import build as builder
from ai8xc.backends.firmware.machine import Machine
from ai8xc.backends.firmware.project import Project
from ai8xc.backends.firmware.registers import RegisterEngine
from ai8xc.backends.firmware.run import run_project
from ai8xc.dialects import q
from ai8xc.driver import Options, Result, compile, compile_graph
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.types import TensorType

ROOT = Path(__file__).parents[1]
MNIST = ROOT / "examples" / "mnist"
VENDOR = {"load": 107_584, "bytes": 71_148, "configure": 325, "text": 73_612}
"""The vendor's MNIST firmware at -O2: instructions, weight bytes, text of its network."""

MAX_RATIO = 0.5
MNIST_SECONDS, NAS_SECONDS, FIRMWARE_SECONDS = 0.060, 0.250, 2.0
LAYERS = [
    (64, 3, False), (32, 1, False), (64, 3, False), (32, 3, True), (64, 1, False), (128, 3, True),
    (128, 1, False), (64, 3, True), (128, 3, False), (128, 1, True),
]  # fmt: skip
"""Outputs, kernel and pooling of a network of the shape that a search found for CIFAR-10."""

Row = tuple[str, float, float]
"""What was measured, the value, and the limit that it must not exceed."""


def nas_graph() -> Graph:
    """A network of 36 million multiplications in ten layers and a matrix, weights at random."""
    random = np.random.default_rng(0)
    value: Op = Input(TensorType((1, 3, 32, 32), "i8"), name="x")
    ops = [value]

    def constant(*shape: int) -> Op:
        data = Data(random.integers(-128, 128, shape).astype(np.int8))
        ops.append(q.Constant(data, "i8", name=f"c{len(ops)}"))
        return ops[-1]

    def add(op: Op) -> Op:
        ops.append(op)
        return op

    for n, (outputs, kernel, pooled) in enumerate(LAYERS):
        if pooled:
            value = add(q.MaxPool(value, (2, 2), (2, 2), name=f"pool{n}"))
        weight = constant(outputs, value.type.shape[1], kernel, kernel)
        pads = (kernel // 2,) * 4
        conv = q.Conv(value, weight, None, (1, 1), pads, output_shift=-4, name=f"conv{n}")
        value = add(q.Relu(add(conv), name=f"relu{n}"))
    value = add(q.Reshape(value, (1, value.type.size), name="flat"))
    value = add(q.Linear(value, constant(10, value.type.size), None, wide=True, name="fc"))
    return make_graph("nas", "q", ops, (value,))


def best(action: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """The shortest time of five; that of this process, whatever else the machine does."""
    times = []
    for _ in range(5):
        started = clock()
        action()
        times.append(clock() - started)
    return min(times)


def written(result: Result, folder: Path) -> Path:
    """The project on disk."""
    result.write(folder, force=True)
    return folder


def executed(folder: Path) -> Machine:
    """A machine that has run a project."""
    with tempfile.TemporaryDirectory() as work:
        machine = Machine(builder.build(folder, "max78000", Path(work)), "max78000")
    if machine.run():
        raise SystemExit(f"the firmware in {folder} fails")
    return machine


def with_plain_loop(folder: Path, target: Path) -> Path:
    """The same project, its block copy replaced by a loop over words."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    text = (target / "cnn.c").read_text()
    (target / "cnn.c").write_text(text.replace("__ARM_ARCH_7EM__", "NEVER_DEFINED"))
    return target


def firmware_rows(result: Result, work: Path) -> list[Row]:
    """Instructions, accesses and size of the MNIST firmware."""
    folder = written(result, work / "mnist")
    fast, plain = executed(folder), executed(with_plain_loop(folder, work / "plain"))
    program = result.registers
    assert program is not None
    weights = sum(kernels.data.array.size for kernels in program.kernels)
    spent, slow = fast.profile.spent, plain.profile.spent
    load = spent["cnn_load_weights"]
    verify = 128  # bytes of cnn_verify_weights, which the vendor's firmware has not
    vendor_load = VENDOR["load"] / VENDOR["bytes"]
    constants = weights + sum(len(biases.data.array) for biases in program.biases)
    vendor_text = VENDOR["text"] - VENDOR["bytes"] + constants
    words = CProject(program).program.unloads[0].channels
    per_word = slow["cnn_load_weights"] / (weights / 4)
    return [
        ("load weights: of a plain loop", load / slow["cnn_load_weights"], MAX_RATIO),
        ("load weights: instructions a byte", load / weights, vendor_load / 2),
        ("load weights: of the vendor's", load / weights / vendor_load, MAX_RATIO),
        ("unload: of a plain loop", spent["cnn_unload"] / (words * per_word), MAX_RATIO),
        ("configure: instructions", spent["cnn_configure"], VENDOR["configure"]),
        ("text of cnn.c, bytes", fast.size.network_text - verify, vendor_text),
    ]


def time_rows(result: Result, work: Path) -> list[Row]:
    """Times of the engines, in seconds."""
    folder = written(result, work / "mnist")
    nas = written(
        compile_graph(nas_graph(), Options("max78000", emit=frozenset("c"))), work / "nas"
    )
    whole = best(lambda: run_project(folder, "firmware"), time.perf_counter)
    return [
        ("register engine, MNIST: CPU s", inference(folder), MNIST_SECONDS),
        ("register engine, NAS: CPU s", inference(nas), NAS_SECONDS),
        ("firmware engine, MNIST: s", whole, FIRMWARE_SECONDS),
    ]


def inference(folder: Path) -> float:
    """Seconds of an inference by the register engine."""
    project = Project.read(folder)
    engine = RegisterEngine(project)
    return best(lambda: engine.run(project.sample))


def compare_random(count: int) -> int:
    """Compare all engines on random networks; returns how many ran."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    sys.path.insert(0, str(ROOT / "tests" / "property"))
    from q_graphs import q_graphs
    from test_firmware import prove

    ran = 0

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(q_graphs(), st.integers(0, 2**16))
    def compare(graph: Graph, seed: int) -> None:
        nonlocal ran
        for device in ("max78000", "max78002"):
            ran += prove(device, graph, seed, "firmware")

    compare()
    return ran


def main(arguments: list[str]) -> int:
    """Measure, print, and compare with the limits."""
    if "--random" in arguments:
        count = int(arguments[arguments.index("--random") + 1])
        print(f"{compare_random(count)} random networks: all engines give the same numbers")
        return 0
    result = compile(MNIST / "mnist.onnx", sample=np.load(MNIST / "sample.npy"))
    with tempfile.TemporaryDirectory() as work:
        rows = [*firmware_rows(result, Path(work)), *time_rows(result, Path(work))]
    print(f"{'':36}{'measured':>12}{'at most':>12}")
    for name, value, limit in rows:
        print(f"{name:36}{value:12.4g}{limit:12.4g}{'' if value <= limit else '  MISSED'}")
    if arguments:
        record = [{"name": n, "value": v, "limit": limit} for n, v, limit in rows]
        Path(arguments[0]).write_text(json.dumps(record, indent=1))
    return int(any(value > limit for _, value, limit in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
