"""Writes checkpoints that `torch.load` reads, also with `weights_only`, without torch.

The file is a zip archive of a pickle and of raw storages. The pickle is written opcode by opcode
from plain values: mappings, lists, text, numbers, None, and arrays, which become tensors.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_STORAGES: Final = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of each entry, so that the same content gives the same bytes."""


def checkpoint_bytes(content: Mapping[str, object]) -> bytes:
    """Return the bytes of a checkpoint file.

    Raises TypeError for a value that is no plain data.
    """
    pickled = _Pickled()
    pickled.value(content)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:

        def entry(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _EPOCH), data)

        entry("data.pkl", b"\x80\x02" + bytes(pickled.code) + b".")
        entry("byteorder", sys.byteorder.encode())
        for index, storage in enumerate(pickled.storages):
            entry(f"data/{index}", storage.tobytes())
        entry("version", b"3\n")
    return buffer.getvalue()


class _Pickled:
    """A pickle of protocol 2 under construction, and the storages that it refers to."""

    def __init__(self) -> None:
        self.code = bytearray()
        self.storages: list[NDArray[Any]] = []

    def value(self, value: object) -> None:
        """Append a value."""
        if value is None:
            self.code += b"N"
        elif isinstance(value, bool):
            self.code += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.code += b"\x8a" + bytes([len(data)]) + data
        elif isinstance(value, float):
            self.code += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            data = value.encode()
            self.code += b"X" + struct.pack("<I", len(data)) + data
        elif isinstance(value, np.ndarray):
            self._tensor(value)
        else:
            self._container(value)

    def _container(self, value: object) -> None:
        if isinstance(value, Mapping):
            self.code += b"ccollections\nOrderedDict\n)R("
            for key, item in value.items():
                self.value(key)
                self.value(item)
            self.code += b"u"
        elif isinstance(value, list | tuple):
            self.code += b"]("
            for item in value:
                self.value(item)
            self.code += b"e"
        else:
            raise TypeError(f"{type(value).__name__} is no plain data")

    def _tensor(self, array: NDArray[Any]) -> None:
        kind = _STORAGES.get(array.dtype.name)
        if kind is None:
            raise TypeError(f"torch has no storage of {array.dtype}")
        strides = [1] * array.ndim
        for axis in range(array.ndim - 1, 0, -1):
            strides[axis - 1] = strides[axis] * array.shape[axis]
        self.code += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        self.value("storage")
        self.code += f"ctorch\n{kind}\n".encode()
        self.value(str(len(self.storages)))
        self.value("cpu")
        self.value(array.size)
        self.code += b"tQ"
        self.value(0)
        for sizes in (array.shape, strides):
            self.code += b"("
            for size in sizes:
                self.value(int(size))
            self.code += b"t"
        self.code += b"\x89ccollections\nOrderedDict\n)RtR"
        self.storages.append(np.ascontiguousarray(array))
