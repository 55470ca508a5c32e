"""Tensors of ONNX files as arrays, checked before memory is taken for them."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ai8xc.frontend.building import MAX_AXES, MAX_VALUES
from ai8xc.frontend.rules import (
    BEYOND_FLOAT,
    CONSTANT_TYPE,
    DAMAGED,
    EXTERNAL,
    MANY_AXES,
    TOO_LARGE,
)
from ai8xc.ir.diag import Rejected, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array, Element

if TYPE_CHECKING:
    from onnx import TensorProto

DTYPES: Final[dict[int, str]] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
}
"""ONNX's numbers for element types (`TensorProto.DataType`)."""

ELEMENTS: Final[dict[str, Element]] = {
    "float32": "f32",
    "float16": "f32",
    "float64": "f32",
    "bfloat16": "f32",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "bool": "bool",
    "int4": "i8",
    "uint4": "u8",
}
"""Element types of the import: every float is 32 bits wide there, 4-bit integers become 8."""

_STORED: Final[dict[str, str]] = {"bool": "|u1", "bfloat16": "<u2"} | {
    name: np.dtype(name).newbyteorder("<").str
    for name in (
        *("float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16"),
    )
}
"""How raw data hold the values; 4-bit integers stand in pairs and are treated apart."""

_FIELD: Final[dict[str, str]] = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
}
"""Where values stand that are not raw; all other types use `int32_data`."""


class TensorReader:
    """Reads the tensors of one model file."""

    def __init__(self, model: Path) -> None:
        self.folder = model.parent
        self.source = model.name

    def read(self, tensor: TensorProto, name: str, loc: Loc | None = None) -> Array:
        """Return the values, floats as float32; raises `Rejected`."""
        return _Tensor(self, tensor, name, loc or Loc(self.source)).read()


class _Tensor:
    """One tensor on its way to an array."""

    def __init__(self, reader: TensorReader, tensor: TensorProto, name: str, loc: Loc) -> None:
        self.reader, self.tensor, self.name, self.loc = reader, tensor, name, loc
        self.kind = DTYPES.get(tensor.data_type, f"type {tensor.data_type}")

    def refuse(self, rule: Rule, **values: str) -> Rejected:
        fields: dict[str, Any] = values  # fill the message of the rule
        return Rejected([rule.at(self.loc, name=self.name, **fields)])

    def read(self) -> Array:
        if self.kind not in ELEMENTS:
            raise self.refuse(CONSTANT_TYPE, element=self.kind)
        shape = tuple(self.tensor.dims)
        if min(shape, default=1) < 0:
            raise self.refuse(DAMAGED, why=f"it has a size of {min(shape)}")
        if len(shape) > MAX_AXES:
            raise self.refuse(MANY_AXES, count=str(len(shape)))
        size = math.prod(max(axis, 1) for axis in shape)  # numpy counts so, even if one is empty
        if size > MAX_VALUES:
            raise self.refuse(TOO_LARGE, size=str(size))
        return self.as_float32(self.values(math.prod(shape)).reshape(shape))

    def values(self, count: int) -> Array:
        half = self.kind in ("int4", "uint4")
        size = 1 if half else np.dtype(_STORED[self.kind]).itemsize
        stored = (count + 1) // 2 if half else count
        if self.tensor.data_location == 1:  # EXTERNAL
            raw = self.external(stored * size)
        elif self.tensor.HasField("raw_data"):
            raw = self.tensor.raw_data
        else:
            return self.listed(stored, count)
        if len(raw) != stored * size:
            raise self.refuse(DAMAGED, why=f"{len(raw)} bytes where {stored * size} are needed")
        if half:
            return self.nibbles(np.frombuffer(raw, np.uint8), count)
        return self.decode(np.frombuffer(raw, _STORED[self.kind]))

    def listed(self, stored: int, count: int) -> Array:
        """Return values that stand in one of the repeated fields."""
        field = _FIELD.get(self.kind, "int32_data")
        values: list[float | int] = list(
            {
                "float_data": self.tensor.float_data,
                "double_data": self.tensor.double_data,
                "int64_data": self.tensor.int64_data,
                "int32_data": self.tensor.int32_data,
            }[field]
        )
        if len(values) != stored:
            raise self.refuse(DAMAGED, why=f"{len(values)} values where {stored} are needed")
        if self.kind in ("int4", "uint4"):
            return self.nibbles(self.bounded(np.array(values, np.int64), np.uint8), count)
        if field != "int32_data":
            return np.array(values, self.kind)
        wide = np.array(values, np.int64)
        if self.kind in ("float16", "bfloat16"):
            return self.decode(self.bounded(wide, np.uint16).view(_STORED[self.kind]))
        return self.decode(self.bounded(wide, np.dtype(_STORED[self.kind]).type))

    def bounded(self, wide: Array, kind: type[np.generic]) -> Array:
        limits = np.iinfo(kind)  # type: ignore[type-var] # integers only
        if wide.size and (wide.min() < limits.min or wide.max() > limits.max):
            raise self.refuse(DAMAGED, why=f"it has values beyond the range of {self.kind}")
        return wide.astype(kind)

    def nibbles(self, packed: Array, count: int) -> Array:
        """Return 4-bit integers, two in a byte, the lower first."""
        pairs = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1)[:count]
        if self.kind == "uint4":
            return pairs
        return np.where(pairs > 7, pairs.astype(np.int8) - 16, pairs).astype(np.int8)

    def decode(self, stored: Array) -> Array:
        if self.kind == "bool":
            return stored.astype(np.bool_)
        if self.kind == "bfloat16":
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)

    def as_float32(self, values: Array) -> Array:
        if not np.issubdtype(values.dtype, np.floating):
            return values
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32, copy=False)
        if np.any(np.isinf(narrow) & np.isfinite(values)):
            raise self.refuse(BEYOND_FLOAT)
        return narrow

    def external(self, size: int) -> bytes:
        """Return data from a file beside the model."""
        entries = {entry.key: entry.value for entry in self.tensor.external_data}
        location = entries.get("location", "")
        offset = self.number(entries.get("offset", "0"))
        length = self.number(entries.get("length", str(size)))
        if length != size:
            raise self.refuse(DAMAGED, why=f"{length} bytes where {size} are needed")
        path = self.inside(location)
        try:
            # Opening does not follow a link that has appeared since, nor wait for a pipe.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(handle, "rb") as file:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                    raise self.refuse(EXTERNAL, why=f"`{location}` is not a file of its own")
                if offset + size > status.st_size:
                    raise self.refuse(DAMAGED, why=f"`{location}` ends before its data")
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            why = f"`{location}`: {os.strerror(error.errno or 0).lower()}"
            raise self.refuse(EXTERNAL, why=why) from error

    def number(self, text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise self.refuse(DAMAGED, why=f"`{text[:40]}` is no offset or length")
        return int(text)

    def inside(self, location: str) -> Path:
        """Return the path of a location inside the folder of the model, without links."""
        posix, windows = PurePosixPath(location), PureWindowsPath(location)
        if not location or "\0" in location:
            raise self.refuse(EXTERNAL, why="they have no file")
        if posix.is_absolute() or windows.anchor:
            raise self.refuse(EXTERNAL, why=f"`{location}` is an absolute path")
        if ".." in (*posix.parts, *windows.parts):
            raise self.refuse(EXTERNAL, why=f"`{location}` leaves the folder of the model")
        path = self.reader.folder
        for part in posix.parts:
            path /= part
            if path.is_symlink():
                raise self.refuse(EXTERNAL, why=f"`{location}` is a link")
        return path
