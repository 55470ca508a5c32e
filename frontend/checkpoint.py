"""PyTorch checkpoints as plain data, without running what they contain and without torch.

A checkpoint is a pickle, and a pickle is a program. This reader executes none of it: the names
that tensors need are replaced by functions of our own, every other name by an inert object, and
sizes are compared with the file before memory is taken. It reads the zip format and the older
one (several pickles, then the raw storages).
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import numpy as np

from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

UNREADABLE = declare(
    "CK001",
    "this is not a checkpoint that can be read: {why}",
    """A checkpoint is what `torch.save` writes: a zip archive with `data.pkl`, or the older format
    of several pickles. It is read without torch and without running anything it contains.""",
)

_LEGACY_MAGIC: Final = 119547037146038801333356
_STORAGES: Final = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_MAX_BYTES: Final = 1 << 30
"""Most bytes of a file, of what an archive unpacks to, and of all tensors together."""
_MEMO: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
"""Opcodes that keep an object under a number, for which the unpickler takes memory."""


class Opaque:
    """Stands for any object that a checkpoint contains and that is not data.

    `origin` is the name that the file asks for; nothing of that name is ever called.
    """

    origin = ""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Accept and forget everything."""

    def __setstate__(self, state: object) -> None:
        """Forget the state."""

    def __setitem__(self, key: object, value: object) -> None:
        """Forget an item."""

    def append(self, value: object) -> None:
        """Forget an element."""

    def extend(self, values: object) -> None:
        """Forget elements."""

    def __call__(self, *args: object, **kwargs: object) -> Opaque:
        """Return another inert object of this origin."""
        return type(self)()


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(eq=False)
class _Tensor:
    """A tensor whose storage is not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Forget Python attributes of the tensor."""

    def resolve(self, flat: Array) -> Array:
        """Return the array; raises ValueError when it leaves its storage."""
        spans = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in spans)
        if 0 in self.shape:
            return np.zeros(self.shape, flat.dtype)
        if min((self.offset, *self.strides, *self.shape)) < 0 or last >= flat.size:
            raise ValueError("a tensor lies outside its storage")
        step = flat.dtype.itemsize
        view = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, tuple(stride * step for stride in self.strides)
        )
        return np.array(view)


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors and dictionaries and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return our own function for a name that tensors need, `Opaque` for any other."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name == "_rebuild_tensor_v2":
            return _rebuild
        if module == "torch._utils" and name == "_rebuild_parameter":
            return _parameter
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        return type("Opaque", (Opaque,), {"origin": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the description of a storage."""
        kind, dtype, key, _location, count, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(count, int):
            raise pickle.UnpicklingError("a storage of an unknown kind")
        return _Storage(str(key), dtype, count)


def _load(file: IO[bytes]) -> Any:
    """Return the next pickle of a file; none may number more objects than it has."""
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in _MEMO and isinstance(argument, int) and argument > count:
            raise pickle.UnpicklingError(f"object {argument} of {count}")
    file.seek(start)
    return _Reader(file).load()


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _parameter(data: Any, *_: object) -> Any:
    return data


def read_checkpoint(path: Path) -> Mapping[str, object]:
    """Return the mapping that a checkpoint file holds, its tensors as arrays.

    Raises `Rejected` (unusable) when the file is damaged or no checkpoint.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            _refuse(path, f"{size} bytes are more than the {_MAX_BYTES} that are read")
        if zipfile.is_zipfile(path):
            content = _read_zip(path)
        else:
            with path.open("rb") as file:
                content = _read_legacy(file, size)
    except Rejected:
        raise
    except OSError as error:
        _refuse(path, error.strerror or "the file cannot be opened")
    except Exception as error:
        _refuse(path, f"damaged ({type(error).__name__}: {error})")
    if not isinstance(content, dict):
        _refuse(path, "it does not hold a mapping")
    return content


def _refuse(path: Path, why: str) -> NoReturn:
    raise Rejected([UNREADABLE.at(Loc(path.name), why=why)], unusable=True)


def _read_zip(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
            raise ValueError("it unpacks to more than the bytes that are read")
        names = {name.rpartition("/data.pkl")[0]: name for name in archive.namelist()}
        (root,) = (root for root, name in names.items() if name.endswith("/data.pkl"))
        content = _load(io.BytesIO(archive.read(f"{root}/data.pkl")))

        def flat(storage: _Storage) -> Array:
            entry = archive.getinfo(f"{root}/data/{storage.key}")
            if entry.file_size != storage.count * storage.dtype.itemsize:
                raise ValueError("a storage has another size than its tensors say")
            return np.frombuffer(archive.read(entry), storage.dtype)

        return _resolve(content, flat)


def _read_legacy(file: IO[bytes], size: int) -> object:
    if _load(file) != _LEGACY_MAGIC:
        raise ValueError("it begins as no file that `torch.save` writes")
    _load(file)  # protocol version
    _load(file)  # description of the machine
    content = _load(file)
    keys = [str(key) for key in _load(file)]
    wanted = {storage.key: storage for storage in _storages(content)}
    stored: dict[str, Array] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storage = wanted.get(key)
        if storage is None or not 0 <= count * storage.dtype.itemsize <= size:
            raise ValueError("a storage of an unknown size")
        raw = file.read(count * storage.dtype.itemsize)
        stored[key] = np.frombuffer(raw, storage.dtype)
    return _resolve(content, lambda storage: stored[storage.key])


def _storages(content: object) -> list[_Storage]:
    found: list[_Storage] = []
    _Walk(lambda tensor: found.append(tensor.storage)).visit(content)
    return found


def _resolve(content: object, flat: Callable[[_Storage], Array]) -> object:
    stored: dict[str, Array] = {}
    left = _MAX_BYTES

    def array(tensor: _Tensor) -> Array:
        nonlocal left
        key = tensor.storage.key
        left -= max(math.prod(tensor.shape), 0) * tensor.storage.dtype.itemsize
        if left < 0:
            raise ValueError("the tensors take more than the bytes that are read")
        if key not in stored:
            stored[key] = flat(tensor.storage)
        return tensor.resolve(stored[key])

    return _Walk(array).visit(content)


class _Walk:
    """Replaces every tensor in nested containers, visiting a shared container once."""

    def __init__(self, tensor: Callable[[_Tensor], object]) -> None:
        self.tensor = tensor
        self.done: dict[int, object] = {}

    def visit(self, content: object, depth: int = 0) -> object:
        """Return the content with `tensor(it)` in place of every tensor."""
        if depth > 100:
            raise ValueError("nested too deep")
        if id(content) not in self.done:
            self.done[id(content)] = self._replaced(content, depth + 1)
        return self.done[id(content)]

    def _replaced(self, content: object, depth: int) -> object:
        if isinstance(content, _Tensor):
            return self.tensor(content)
        if isinstance(content, dict):
            return {key: self.visit(value, depth) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self.visit(item, depth) for item in content]
        return content
