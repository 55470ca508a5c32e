"""ONNX files: from a path to the protobuf message, with nothing but `Rejected` on the way."""

from __future__ import annotations

import importlib
import importlib.util
import os
import stat
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from ai8xc.frontend.rules import NOT_ONNX, UNREADABLE
from ai8xc.ir.diag import Rejected, Rule
from ai8xc.ir.loc import Loc

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_BYTES: Final = 2**31 - 1
"""Largest protobuf message."""


@cache
def schema() -> ModuleType:
    """Return the protobuf classes of ONNX.

    The package around them brings a compiled checker and reference operators, which take longer
    to load than a small model takes to import: only the one generated module is executed.
    """
    if "onnx" in sys.modules:
        return importlib.import_module("onnx.onnx_ml_pb2")
    package = importlib.util.find_spec("onnx")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the package `onnx` is not installed")
    path = Path(package.submodule_search_locations[0], "onnx_ml_pb2.py")
    spec = importlib.util.spec_from_file_location("onnx.onnx_ml_pb2", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("the package `onnx` has no protobuf classes")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_model(path: Path) -> ModelProto:
    """Return the message in a file; raises `Rejected` for a file that holds none."""
    content = _content(path)
    if not content:
        raise _unusable(NOT_ONNX, path, "it is empty")
    model: ModelProto = schema().ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # the protobuf runtimes differ in what they raise
        raise _unusable(NOT_ONNX, path, "it cannot be decoded") from error
    if not model.HasField("graph") or not model.opset_import:
        raise _unusable(NOT_ONNX, path, "it holds no graph")
    return model


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _unusable(UNREADABLE, path, "it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise _unusable(UNREADABLE, path, "it is not a regular file")
        if status.st_size > MAX_BYTES:
            raise _unusable(UNREADABLE, path, f"it has {status.st_size} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise _unusable(UNREADABLE, path, why.lower()) from error


def _unusable(rule: Rule, path: Path, why: str) -> Rejected:
    finding = rule.at(Loc(path.name), file=path.name, why=why)
    return Rejected([finding], unusable=True)
