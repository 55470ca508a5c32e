"""Networks of the layer library on their way to the compiler, and to the files of other tools."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from typing import TypeVar

import torch
from torch import Tensor, nn

from ai8xc.training.checkpoint_file import checkpoint_bytes
from ai8xc.training.layers import HardwareLayer, set_mode
from ai8xc.training.layers.exchange import exchange, rounded
from ai8xc.training.models.parts import Outputs, Shape, device_part

T = TypeVar("T")


def deployed(module: T) -> T:
    """Return a network with the integers that the device gets, where it has been trained for them.

    One in training with quantisation is copied and simulates; any other one is returned as it is.
    """
    if not isinstance(module, nn.Module) or not in_mode(module, "qat"):
        return module
    return set_mode(copy.deepcopy(module), "simulate")


def in_mode(module: nn.Module, mode: str) -> bool:
    """Whether any layer of a network is in a mode."""
    layers = (layer for layer in module.modules() if isinstance(layer, HardwareLayer))
    return any(layer.mode == mode for layer in layers)


def integers(net: nn.Module) -> nn.Module:
    """Return a network that simulates the device."""
    return set_mode(copy.deepcopy(net), "simulate").eval()


def torch_program(net: nn.Module, shape: Shape) -> bytes:
    """Return the program of `torch.export`, with the integers of the device."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(
            device_part(integers(net)), (torch.zeros(1, *shape),)
        ).run_decompositions({})
        torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_model(net: nn.Module, shape: Shape) -> bytes:
    """Return an ONNX model of the network in real numbers, batch norms folded."""
    return _onnx(set_mode(set_mode(copy.deepcopy(net), "qat"), "float"), shape)


def onnx_integers(net: nn.Module, shape: Shape) -> bytes:
    """Return an ONNX model of the device's part, with its integers between QDQ nodes.

    Scales are powers of two. Other tools round averages and ties to even, where the device does
    not.
    """
    return _onnx(_Exchanged(device_part(exchange(integers(net)))), shape)


class _Exchanged(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Outputs:
        found: Outputs = self.net(rounded(x))
        return found


def _onnx(net: nn.Module, shape: Shape) -> bytes:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells that torchvision is absent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            net.eval(),
            (torch.zeros(1, *shape),),
            input_names=["input"],
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


def vendor_checkpoint(net: nn.Module, arch: str, epoch: int = 0) -> bytes:
    """Return a checkpoint with integers, as the vendor's tools load it."""
    state = {
        name: value.detach().cpu().numpy() for name, value in integers(net).state_dict().items()
    }
    extras = {"clipping_method": "MAX_BIT_SHIFT"}
    return checkpoint_bytes({"epoch": epoch, "state_dict": state, "arch": arch, "extras": extras})


def safetensors(net: nn.Module, arch: str, device: str) -> bytes:
    """Return the weights alone, in the mode of the network."""
    from safetensors.torch import save

    state = {name: value.contiguous() for name, value in net.state_dict().items()}
    return save(state, {"arch": arch, "device": device})
