"""Arrays from numpy's files: one, a sequence in one file, or an archive; sizes checked first."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

UNREADABLE = declare(
    "CK010",
    "`{name}` cannot be read: {why}",
    """Weights, biases and samples are numpy files: `.npz` archives, or `.npy` files that may hold
    several arrays one after the other. Arrays of Python objects are refused.""",
)

_MAX_BYTES: Final = 1 << 30


def read_archive(path: Path) -> dict[str, Array]:
    """Return the arrays of an `.npz` file by name; raises `Rejected` (unusable)."""
    content = io.BytesIO(_content(path))
    try:
        with zipfile.ZipFile(content) as archive:
            total = sum(member.file_size for member in archive.infolist())
            if total > _MAX_BYTES:
                raise _unusable(path, f"its arrays take {total} bytes")
            found = {}
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                found[name] = _array(io.BytesIO(archive.read(member)), member.file_size)
            return found
    except Rejected:
        raise
    except Exception as error:  # zipfile and numpy raise whatever a damaged file leads to
        raise _unusable(path, f"it is damaged ({error})") from None


def read_sequence(path: Path) -> list[Array]:
    """Return all arrays of an `.npy` file; raises `Rejected` (unusable)."""
    content = _content(path)
    stream = io.BytesIO(content)
    found = []
    try:
        while stream.tell() < len(content):
            found.append(_array(stream, len(content)))
    except Exception as error:  # numpy raises whatever a damaged header leads to
        raise _unusable(path, f"it is damaged ({error})") from None
    return found


def _array(stream: io.BytesIO, size: int) -> Array:
    begin = stream.tell()
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read(stream)
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"it holds {dtype}, not numbers")
    count = 1
    for length in shape:
        count *= int(length)
    if count * dtype.itemsize > size - stream.tell():
        raise ValueError("it ends within an array")
    stream.seek(begin)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES or not path.is_file():
            why = f"it has {size} bytes" if path.is_file() else "it is no regular file"
            raise _unusable(path, why)
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, (error.strerror or "unknown error").lower()) from None
    except ValueError as error:  # a name with a NUL character
        raise _unusable(path, str(error)) from None
    if not content:
        raise _unusable(path, "it is empty")
    return content


def _unusable(path: Path, why: str) -> Rejected:
    return Rejected([UNREADABLE.at(Loc(path.name), name=path.name, why=why)], unusable=True)
