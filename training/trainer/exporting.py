"""What a trained network is exported to, by the suffix of the file."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from ai8xc.training.checkpoint_file import checkpoint_bytes
from ai8xc.training.layers import set_mode
from ai8xc.training.models import device_part
from ai8xc.training.rules import UNKNOWN_NAME, refused
from ai8xc.training.trainer.runs import Run

Exporter = Callable[[Run, nn.Module], bytes]


def exported(run: Run, name: str, checkpoint: Path | None = None) -> bytes:
    """Return the network of a run, or its test data, in the form that a file's suffix names."""
    suffix = ".pth.tar" if name.endswith(".pth.tar") else Path(name).suffix
    exporter = EXPORTERS.get(suffix)
    if exporter is None:
        known = ", ".join(f"`{name}`" for name in EXPORTERS)
        raise refused(UNKNOWN_NAME, kind="format", name=suffix, help=f"known are {known}")
    return exporter(run, run.network(checkpoint))


def _example(run: Run) -> torch.Tensor:
    return torch.zeros(1, *run.data_info().shape)


def integers(net: nn.Module) -> nn.Module:
    """Return a network that simulates the device."""
    return set_mode(copy.deepcopy(net), "simulate").eval()


def torch_program(run: Run, net: nn.Module) -> bytes:
    """Return the program of `torch.export`, with the integers of the device."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(
            device_part(integers(net)), (_example(run),)
        ).run_decompositions({})
        torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_model(run: Run, net: nn.Module) -> bytes:
    """Return an ONNX model of the network in real numbers, batch norms folded."""
    plain = set_mode(set_mode(copy.deepcopy(net), "qat"), "float").eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells that torchvision is absent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            plain, (_example(run),), input_names=["input"], dynamo=True, verbose=False
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def vendor_checkpoint(run: Run, net: nn.Module) -> bytes:
    """Return a checkpoint with integers, as the vendor's tools load it."""
    state = {
        name: value.detach().cpu().numpy() for name, value in integers(net).state_dict().items()
    }
    content: dict[str, object] = {
        "epoch": run.config.epochs,
        "state_dict": state,
        "arch": run.config.model.name.rpartition(":")[2],
        "extras": {"clipping_method": "MAX_BIT_SHIFT"},
    }
    return checkpoint_bytes(content)


def safetensors(run: Run, net: nn.Module) -> bytes:
    """Return the weights alone, in the mode of the checkpoint."""
    from safetensors.torch import save

    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    return save(
        state, {"arch": run.config.model.name.rpartition(":")[2], "device": run.config.device}
    )


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
    ".pt2": torch_program,
    ".onnx": onnx_model,
    ".pth.tar": vendor_checkpoint,
    ".safetensors": safetensors,
    ".npz": test_data,
}
"""Who writes each form."""
