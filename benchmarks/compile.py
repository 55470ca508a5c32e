"""Time and memory of `ai8xc compile`, the whole process.

python benchmarks/compile.py [RESULT.json]   (from the root of the repository)

Compiles the MNIST example to C in a process of its own, five times; prints the shortest times (of
the clock and of the processor) and the memory, and as a measure of the machine a process that only
imports numpy and onnx. Leaves with 1 where a limit is missed: the machine must be quiet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
MNIST = ROOT / "examples" / "mnist"
SECONDS, MEGABYTES = 0.6, 150
TIMES = 5


def measured(*command: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor and megabytes of a process, the best of five."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    seconds, busy, memory = [], [], []
    for _ in range(TIMES + 1):  # the first one writes byte code
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - started)
        busy.append(usage.ru_utime + usage.ru_stime)
        memory.append(usage.ru_maxrss / 1024)
        if status:
            raise SystemExit(f"{' '.join(command)} fails")
    return min(seconds[1:]), min(busy[1:]), min(memory[1:])


def main(arguments: list[str]) -> int:
    """Measure, print, and compare with the limits."""
    with tempfile.TemporaryDirectory() as work:
        model, sample = str(MNIST / "mnist.onnx"), str(MNIST / "sample.npy")
        command = ("-m", "ai8xc", "compile", model, "-o", f"{work}/out", "--sample", sample)
        seconds, busy, megabytes = measured(*command)
    _, floor, _ = measured("-c", "import numpy, onnx")
    rows = [
        ("compile MNIST: s", seconds, SECONDS),
        ("compile MNIST: MB", megabytes, MEGABYTES),
        ("compile MNIST: CPU s", busy, None),
        ("import numpy and onnx: CPU s", floor, None),
        ("ratio of the two", busy / floor, None),
    ]
    for name, value, limit in rows:
        against = "" if limit is None else f"at most {limit}{'' if value <= limit else '  MISSED'}"
        print(f"{name:28}{value:8.2f}  {against}".rstrip())
    if arguments:
        record = [{"name": n, "value": v, "limit": limit} for n, v, limit in rows]
        Path(arguments[0]).write_text(json.dumps(record, indent=1))
    return int(any(limit is not None and value > limit for _, value, limit in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
