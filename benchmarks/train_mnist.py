"""Float against integer accuracy of the vendor-shaped network on 5000 images of MNIST.

For each seed a network of 71,158 parameters is trained in real numbers, then further with
quantisation to 8 and to 4 bits. The split is fixed: every fifth image is for testing, and the test
images choose nothing.

    python benchmarks/train_mnist.py --seeds 3
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from ai8xc.training.trainer.config import TrainConfig
from ai8xc.training.trainer.runs import LAST, Run, train

LARGEST_LOSS = {8: 0.3, 4: 1.0}
"""Percentage points of accuracy that the integers may be behind the float network."""


def run(folder: Path, seed: int, epochs: int, bits: int | None, start: Run | None = None) -> Run:
    """Return a finished run."""
    config: dict[str, Any] = {
        "model": {"name": "ai85net5"},
        "data": {"name": "mnist5k"},
        "output": folder,
        "seed": seed,
        "epochs": epochs,
        "batch_size": 64,
        "optimizer": {"lr": 2e-3 if start is None else 5e-4},
        "schedule": {"kind": "CosineAnnealingLR", "options": {"T_max": epochs}},
    }
    if bits is not None and start is not None:
        config["qat"] = {"start_epoch": 0, "weight_bits": bits}
        config["weights"] = start.folder / LAST
    return train(TrainConfig.model_validate(config), progress=False)


def main() -> None:
    """Train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--qat-epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lost: dict[int, list[float]] = {8: [], 4: []}
    print("| seed | float | 8-bit integers | 4-bit integers |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for seed in range(arguments.seeds):
            plain = run(Path(name, f"float{seed}"), seed, arguments.epochs, None)
            real = 100 * plain.result["float_accuracy"]
            row = [f"{real:.2f} %"]
            for bits, found in lost.items():
                folder = Path(name, f"{bits}bits{seed}")
                trained = run(folder, seed, arguments.qat_epochs, bits, plain)
                integer = 100 * trained.result["integer_accuracy"]
                assert trained.result["agreement"] == 1
                found.append(real - integer)
                row.append(f"{integer:.2f} %")
            print(f"| {seed} | {' | '.join(row)} |", flush=True)
    for bits, found in lost.items():
        mean = statistics.mean(found)
        verdict = "ok" if mean <= LARGEST_LOSS[bits] else "TOO MUCH"
        print(f"{bits} bits lose {mean:.2f} points on average, {max(found):.2f} at most: {verdict}")


if __name__ == "__main__":
    main()
