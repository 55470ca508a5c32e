"""Compile every architecture with random weights for its device, and prove each step.

    python benchmarks/models.py [NAME ...] [--bits 8]

Prints one line for each: seconds, and what the compiler says where a network does not fit. A
network that is too large with 8-bit weights is tried with 4 bits, then 2, then 1.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ai8xc.driver import Options, compile_graph, load_module
from ai8xc.ir.diag import Rejected
from ai8xc.training import layers
from ai8xc.training.models import MODELS, programs


def compiled(name: str, bits: int) -> str:
    """Compile a network; returns the last thing that was proven."""
    info = MODELS[name]
    torch.manual_seed(0)
    with layers.use_device(info.device):
        net = info.build().eval()
    for layer in net.modules():
        if isinstance(layer, layers.HardwareLayer):
            layer.bits = bits
    told: list[str] = []
    for part, shape in programs(layers.set_mode(net, "simulate"), info.shape):
        x = np.random.default_rng(0).integers(-128, 128, shape)
        options = Options(info.device, sample=x, emit=frozenset({"c"}), prove=told.append)
        compile_graph(load_module(part, x), options)
    return told[-1]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MODELS), metavar="NAME")
    parser.add_argument("--bits", type=int, choices=(8, 4, 2, 1), default=8)
    arguments = parser.parse_args()
    for name in arguments.names:
        for bits in (width for width in (8, 4, 2, 1) if width <= arguments.bits):
            start = time.perf_counter()
            try:
                verdict, done = compiled(name, bits), True
            except Rejected as rejected:
                verdict, done = str(rejected.diagnostics[0]), False
            seconds = time.perf_counter() - start
            print(
                f"{name:<36}{MODELS[name].device} {bits} bits {seconds:5.0f} s  {verdict}",
                flush=True,
            )
            if done:
                break


if __name__ == "__main__":
    main()
