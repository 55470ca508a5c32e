"""Compile every architecture with random weights for its device, and prove each step.

    python benchmarks/models.py [NAME ...] [--bits 8]

Prints one line for each: seconds, and what the compiler says where a network does not fit. A
network that is too large with 8-bit weights is tried with narrower ones in its largest layers, then
with 4 bits everywhere, then 2, then 1.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ai8xc.device import load_device
from ai8xc.driver import Options, compile_graph, load_module
from ai8xc.ir.diag import Rejected
from ai8xc.training import layers
from ai8xc.training.models import MODELS, ModelInfo, programs

SHARES = (1.0, 0.97, 0.94, 0.9, 0.85, 0.8)
"""Parts of the kernel memory that weights may take: narrower ones are tried one after the other."""


def narrowed(net: torch.nn.Module, capacity: float) -> dict[str, int]:
    """Narrow the layer that takes most, again and again, until all weights fit; return widths."""
    found = {
        name: layer
        for name, layer in net.named_modules()
        if isinstance(layer, layers.HardwareLayer) and layer.op is not None
    }

    def taken(layer: layers.HardwareLayer) -> float:
        assert layer.op is not None
        return layer.op.weight.numel() * layer.bits / 8 if layer.bits > 1 else 0

    while sum(taken(layer) for layer in found.values()) > capacity:
        largest = max(found.values(), key=taken)
        largest.bits //= 2
    return {name: layer.bits for name, layer in found.items() if layer.bits < 8}


def mixed(name: str) -> str:
    """Compile a network whose large layers are narrow; returns what was proven, and the widths."""
    info, told = MODELS[name], ""
    memory = load_device(info.device).kernel_bytes
    for share in SHARES:
        net = built(info)
        widths = narrowed(net, share * memory)
        try:
            verdict = proven(info, net)
        except Rejected as rejected:
            told = str(rejected.diagnostics[0])
            continue
        return f"{verdict}; {', '.join(f'{layer}={bits}' for layer, bits in widths.items())}"
    raise LookupError(told)


def built(info: ModelInfo, bits: int = 8) -> torch.nn.Module:
    """Return a network with random weights of so many bits."""
    torch.manual_seed(0)
    with layers.use_device(info.device):
        net = info.build().eval()
    for layer in net.modules():
        if isinstance(layer, layers.HardwareLayer):
            layer.bits = bits
    return net


def proven(info: ModelInfo, net: torch.nn.Module) -> str:
    """Compile the programs of a network; returns the last thing that was proven."""
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
    parser.add_argument("--bits", choices=("8", "mixed", "4", "2", "1"), default="8")
    arguments = parser.parse_args()
    ways = ("8", "mixed", "4", "2", "1")
    for name in arguments.names:
        for bits in ways[ways.index(arguments.bits) :]:
            start = time.perf_counter()
            try:
                info = MODELS[name]
                verdict = mixed(name) if bits == "mixed" else proven(info, built(info, int(bits)))
                done = True
            except (Rejected, LookupError) as why:
                found = why.diagnostics[0] if isinstance(why, Rejected) else why
                verdict, done = str(found), False
            seconds = time.perf_counter() - start
            print(
                f"{name:<36}{MODELS[name].device} {bits:>5} bits {seconds:5.0f} s  {verdict}",
                flush=True,
            )
            if done:
                break


if __name__ == "__main__":
    main()
