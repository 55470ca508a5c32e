"""Compile time of the vendor's trained networks: ours beside what the vendor's tool took.

    python benchmarks/vendor_networks.py [--device MAX78000] [RESULT.txt]

Each network of the vendor's demonstrations (its description, checkpoint and sample, with the
vendor's arguments) is compiled to C in a process of its own; the shorter of two runs counts. The
vectors (AI8XC_GOLDEN) state seconds and memory of the vendor's tool, measured where they were made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import golden_corpus
import numpy as np
from golden_options import Given
from vendor_command import typed

TIMES = 2


def command(entry: golden_corpus.Entry, work: Path) -> list[str]:
    """Return the command line that compiles a network to C."""
    case = json.loads((entry.path / "case.json").read_text())
    given = Given(entry.path, case)
    np.save(work / "sample.npy", given.sample)
    words = ["-m", "ai8xc", "compile", str(given.yaml), "--weights", str(given.weights)]
    words += ["--sample", str(work / "sample.npy"), "--device", case["device"]]
    words += ["-o", str(work / "out"), "--force"]
    words += ["--bias", str(given.bias)] if given.bias else []
    skip = ",".join(given.options.skip.patterns)
    words += ["--skip-weights", skip] if skip else []
    return [sys.executable, *words, *typed(given.flags)]


def measured(words: list[str]) -> tuple[float, float, float]:
    """Return seconds, seconds of the processor and megabytes of a process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    runs = []
    for _ in range(TIMES):
        started = time.perf_counter()
        process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        runs.append((seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
        if status:
            raise SystemExit(f"{' '.join(words)} fails")
    best = min(runs, key=lambda run: run[1])
    return best[0], best[1], max(run[2] for run in runs)


def table(device: str) -> list[str]:
    """Return the lines of the table."""
    head = f"{'network':66}{'s':>7}{'CPU s':>7}{'MB':>6}{'vendor s':>10}{'MB':>6}{'ratio':>7}"
    lines, ratios = [f"{device}", head], []
    for entry in golden_corpus.entries():
        if entry.device != device or not entry.name.startswith("net-"):
            continue
        case = json.loads((entry.path / "case.json").read_text())
        with tempfile.TemporaryDirectory() as work:
            seconds, busy, memory = measured(command(entry, Path(work)))
        theirs, room = case["reference_seconds"], case["peak_rss_mb"]
        ratios.append(theirs / busy)
        name = entry.name.removeprefix("net-")[:64]
        lines.append(f"{name:66}{seconds:7.2f}{busy:7.2f}{memory:6.0f}{theirs:10.2f}{room:6.0f}"
                     f"{ratios[-1]:7.1f}")  # fmt: skip
        print(lines[-1], flush=True)
    lines.append(f"{len(ratios)} networks, ratio to our CPU time: median {np.median(ratios):.1f}")
    return lines


def main() -> int:
    """Measure and print; write the table to a file where one is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="MAX78000")
    parser.add_argument("result", nargs="?", type=Path)
    args = parser.parse_args()
    lines = table(args.device)
    print(lines[-1])
    if args.result:
        args.result.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
