"""What a trained network is exported to, by the suffix of the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from ai8xc.training import export
from ai8xc.training.rules import UNKNOWN_NAME, refused
from ai8xc.training.trainer.runs import Run

Exporter = Callable[[Run, nn.Module], bytes]


def exported(run: Run, name: str, checkpoint: Path | None = None) -> bytes:
    """Return the network of a run, or its test data, in the form that a file's suffix names."""
    exporter = next((made for suffix, made in EXPORTERS.items() if name.endswith(suffix)), None)
    if exporter is None:
        known = ", ".join(f"`{form}`" for form in (*EXPORTERS, ".yaml"))
        suffix = Path(name).suffix or name
        raise refused(UNKNOWN_NAME, kind="format", name=suffix, help=f"known are {known}")
    return exporter(run, run.network(checkpoint))


def _arch(run: Run) -> str:
    return run.config.model.name.rpartition(":")[2]


def test_data(run: Run, net: nn.Module) -> bytes:
    """Return the test samples, multiples of 1/128, and their targets: arrays `x`, `y`."""
    data = run.data()
    arrays: dict[str, Any] = {"x": data.test.x}
    if isinstance(data.test.y, np.ndarray):
        arrays["y"] = data.test.y
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


EXPORTERS: Final[Mapping[str, Exporter]] = {
    ".pt2": lambda run, net: export.torch_program(net, run.data_info().shape),
    ".qdq.onnx": lambda run, net: export.onnx_integers(net, run.data_info().shape),
    ".onnx": lambda run, net: export.onnx_model(net, run.data_info().shape),
    ".pth.tar": lambda run, net: export.vendor_checkpoint(net, _arch(run), run.config.epochs),
    ".safetensors": lambda run, net: export.safetensors(net, _arch(run), run.config.device),
    ".npz": test_data,
}
"""Who writes each form; the first suffix that fits counts."""
