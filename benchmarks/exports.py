"""Export every architecture in every form, and compile the two forms that hold integers.

    python benchmarks/exports.py [NAME ...] [--compile]

Prints one line for each: bytes of each form. With `--compile` the torch program and the ONNX model
with the integers of the device must become the same registers and memories, with the first widths
of weights of 8, 4 and 2 bits that fit.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from models import built

from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.diag import Rejected
from ai8xc.training import export
from ai8xc.training.models import MODELS, ModelInfo

FILES = ("registers.json", "memory.npz")


def forms(name: str, net: torch.nn.Module) -> dict[str, bytes]:
    """Return the content of each file."""
    info = MODELS[name]
    whole = (15, *info.shape) if name == "ai85actiontcn" else info.shape
    return {
        ".pt2": export.torch_program(net, info.shape),
        ".qdq.onnx": export.onnx_integers(net, info.shape),
        ".onnx": export.onnx_model(net, whole),
        ".pth.tar": export.vendor_checkpoint(net, name),
        ".safetensors": export.safetensors(net, name, info.device),
    }


def registers(content: bytes, suffix: str, info: ModelInfo, bits: int) -> Mapping[str, bytes]:
    """Return the registers and memories that a form is compiled to."""
    x = np.random.default_rng(0).integers(-128, 128, info.shape)
    settings = {"quantize": {"weight_bits": bits}} if suffix.endswith(".onnx") else {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"net{suffix}")
        file.write_bytes(content)
        graph = load(file)
    emit = frozenset({"registers"})
    return compile_graph(graph, Options(info.device, sample=x, emit=emit, settings=settings)).files


def same(name: str) -> str:
    """Return whether the two forms become the same program."""
    info, told = MODELS[name], ""
    for bits in (8, 4, 2):
        made = forms(name, built(info, bits))
        try:
            program = registers(made[".pt2"], ".pt2", info, bits)
        except Rejected as rejected:
            told = str(rejected.diagnostics[0])
            continue
        model = registers(made[".qdq.onnx"], ".qdq.onnx", info, bits)
        equal = all(program[file] == model[file] for file in FILES)
        return f"{bits} bits: {'the same registers' if equal else 'OTHER registers'}"
    return told


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MODELS), metavar="NAME")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names:
        made = forms(name, built(MODELS[name]))
        sizes = ", ".join(f"{suffix} {len(content):,}" for suffix, content in made.items())
        print(f"{name:<36}{sizes}  {same(name) if arguments.compile else ''}", flush=True)


if __name__ == "__main__":
    main()
