"""Float against integer accuracy of the vendor-shaped network on 5000 images of MNIST.

For each seed a network of 71,158 parameters is trained in real numbers. From its best epoch on the
validation images training goes on for the same number of epochs three times: in real numbers, and
with quantisation to 8 and to 4 bits. The split is fixed: every fifth image is for testing, a tenth
of the others for validation. The test images choose nothing, neither an epoch nor a number here.

    python benchmarks/train_mnist.py --seeds 3
    python benchmarks/train_mnist.py --seeds 1 --firmware    # and run all test images on the device
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from ai8xc.training.trainer.config import TrainConfig
from ai8xc.training.trainer.runs import BEST, RESULT, Run, open_run, train

LARGEST_LOSS = {8: 0.3, 4: 1.0}
"""Percentage points of accuracy that the integers may be behind the float network."""

SAME = Path(__file__).parents[1] / "examples/train/same_predictions.py"


def run(folder: Path, seed: int, epochs: int, bits: int | None, start: Run | None = None) -> Run:
    """Return a finished run; one that is there already is taken as it is."""
    if (folder / RESULT).is_file():
        return open_run(folder)
    config: dict[str, Any] = {
        "model": {"name": "ai85net5"},
        "data": {"name": "mnist5k"},
        "output": folder,
        "seed": seed,
        "epochs": epochs,
        "batch_size": 64,
        "optimizer": {"lr": 2e-3 if start is None else 3e-4},
        "schedule": {"kind": "CosineAnnealingLR", "options": {"T_max": epochs}},
    }
    if start is not None:
        config["weights"] = start.folder / BEST[False]
    if bits is not None:
        config["qat"] = {"start_epoch": 0, "weight_bits": bits}
    return train(TrainConfig.model_validate(config), progress=False)


def measured(folder: Path, arguments: argparse.Namespace) -> dict[int, list[float]]:
    """Train for each seed, print a row each, and return the points lost by bits."""
    lost: dict[int, list[float]] = {8: [], 4: []}
    print("| seed | float | 8-bit integers | 4-bit integers | time |\n|---|---|---|---|---|")
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        first = run(folder / f"first{seed}", seed, arguments.epochs, None)
        plain = run(folder / f"float{seed}", seed, arguments.qat_epochs, None, first)
        real = 100 * plain.result["float_accuracy"]
        row = [f"{real:.1f} %"]
        for bits, found in lost.items():
            name = folder / f"{bits}bits{seed}"
            trained = run(name, seed, arguments.qat_epochs, bits, first)
            integer = 100 * trained.result["integer_accuracy"]
            assert trained.result["agreement"] == 1
            found.append(real - integer)
            row.append(f"{integer:.1f} %")
        row.append(f"{time.perf_counter() - began:.0f} s")
        print(f"| {seed} | {' | '.join(row)} |", flush=True)
    return lost


def main() -> None:
    """Train, print a table, and end with 1 where any seed loses too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--qat-epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, help="keep the runs here, and take those there")
    parser.add_argument("--firmware", action="store_true", help="run 8 bits of seed 0 there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        lost = measured(folder, arguments)
        failed = False
        for bits, found in lost.items():
            failed |= max(found) > LARGEST_LOSS[bits] + 1e-6
            verdict = "ok" if max(found) <= LARGEST_LOSS[bits] + 1e-6 else "TOO MUCH"
            mean = statistics.mean(found)
            print(
                f"{bits} bits lose {mean:.2f} points on average, {max(found):.2f} at most:", verdict
            )
        if arguments.firmware:
            code = [sys.executable, str(SAME), str(folder / "8bits0")]
            failed |= subprocess.run(code, check=False).returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
