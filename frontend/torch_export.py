"""Torch modules to graphs of the `nn` level, through `torch.export`.

The exported program takes the same road as one from a file: it is saved into memory and read by
the reader of `.pt2` files, so both are understood alike.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ai8xc.frontend.pt2_file import read_program
from ai8xc.frontend.rules import NO_SAMPLE, NOT_EXPORTED
from ai8xc.frontend.torch_model import import_program
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

if TYPE_CHECKING:
    import torch


def import_module(module: object, sample: Array | None) -> Graph:
    """Return the network that a torch module computes at inference.

    `sample` is one input without the batch axis, as real values. The module is not changed.
    Raises `Rejected` with everything that cannot be imported; `TypeError` for what is no module.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"a path or a torch module is needed, not {type(module).__name__}")
    source = type(module).__name__
    if sample is None:
        raise Rejected([NO_SAMPLE.at(Loc(source))], unusable=True)
    x = torch.from_numpy(np.ascontiguousarray(sample, np.float32))[None]
    return import_program(read_program(exported(module, x), source), source)


def exported(module: torch.nn.Module, x: torch.Tensor) -> bytes:
    """Return the `.pt2` archive of a module at inference, for inputs of the shape of `x`."""
    import torch

    source = type(module).__name__
    with _inference(module), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about its own pickles
        try:
            with torch.no_grad():
                program = torch.export.export(module, (x,)).run_decompositions({})
        except Exception as error:  # whatever the module raises when it is followed
            why = str(error).strip().partition("\n")[0] or type(error).__name__
            raise Rejected([NOT_EXPORTED.at(Loc(source), why=why)]) from error
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    return buffer.getvalue()


@contextmanager
def _inference(module: torch.nn.Module) -> Iterator[None]:
    """Switch a module and all in it to inference for a while."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
