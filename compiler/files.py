"""Graphs on disk: `NAME.ir` with its constants in `NAME.npz`, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from ai8xc.ir.core import Data, Graph
from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.printer import constants, print_graph
from ai8xc.ir.types import Array, element_of

UNREADABLE = declare(
    "IR050",
    "`{name}` cannot be read: {why}",
    "The file must exist, be a regular file that is not empty, and be readable.",
)
BAD_ARRAYS = declare(
    "IR051",
    "the arrays in `{name}` cannot be used: {why}",
    """The constants of `NAME.ir` stand in `NAME.npz`, a numpy archive of plain number arrays.
    Arrays of Python objects are refused, because reading them would run code.""",
)
UNWRITABLE = declare(
    "IR052",
    "`{name}` cannot be written: {why}",
    """The folder of an output must be writable. A folder that holds other files than those an
    earlier run has written there is only replaced where `--force` asks for it.""",
)

MANIFEST: Final = "ai8xc.json"
AT_FDCWD: Final = -100
RENAME_EXCHANGE: Final = 2
"""Constants of `renameat2`; Linux manual, section 2."""

_DUMP: Final = re.compile(r"\d\d+-[a-z0-9-]+\.(ir|npz)")
"""What `NN-<pass>` files are called."""

MAX_TEXT_BYTES: Final = 64 << 20
MAX_ARRAY_BYTES: Final = 1 << 30


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a file; raises `Rejected` where it is none, empty or too large."""
    name = path.name or str(path)
    try:
        if path.is_dir():
            raise unusable(name, "it is a folder")
        size = path.stat().st_size
        if size > limit:
            raise unusable(name, f"it has {size} bytes, more than {limit}")
        content = path.read_bytes()
    except OSError as error:
        raise unusable(name, (error.strerror or "unknown error").lower()) from None
    except ValueError as error:  # a name with a NUL character
        raise unusable(name, str(error)) from None
    if not content:
        raise unusable(name, "it is empty")
    return content


def unusable(name: str, why: str) -> Rejected:
    """Return the rejection of an input file."""
    return Rejected([UNREADABLE.at(Loc(name), name=name, why=why)], unusable=True)


def read_text(path: Path) -> str:
    """Return the text of an `.ir` file, of the standard input for `-`."""
    if str(path) == "-":
        content = sys.stdin.buffer.read(MAX_TEXT_BYTES)
    else:
        content = read_bytes(path, MAX_TEXT_BYTES)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unusable(path.name, f"byte {error.start} is not UTF-8") from None


def read_ir(path: Path) -> Graph:
    """Return the graph in an `.ir` file (`-`: standard input), with the `.npz` beside it."""
    from ai8xc.grammar.reader import read_graph

    name = "<stdin>" if str(path) == "-" else path.name
    return read_graph(read_text(path), name, arrays_beside(path))


def arrays_beside(path: Path) -> dict[str, Data]:
    """Return the arrays in the `.npz` file beside an `.ir` file, none where there is no such."""
    beside = path.with_suffix(".npz")
    return read_arrays(beside) if str(path) != "-" and beside.exists() else {}


def read_array(path: Path) -> Array:
    """Return the array in an `.npy` file."""
    content = io.BytesIO(read_bytes(path, MAX_ARRAY_BYTES))
    try:
        return np.asarray(np.load(content, allow_pickle=False))
    except Exception as error:  # numpy raises whatever a damaged header leads to
        why = str(error) or type(error).__name__
        raise _bad_arrays(path, why) from None


def read_arrays(path: Path) -> dict[str, Data]:
    """Return the arrays of an `.npz` file by name."""
    content = io.BytesIO(read_bytes(path, MAX_ARRAY_BYTES))
    try:
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_ARRAY_BYTES:
            raise _bad_arrays(path, f"they take {unpacked} bytes, more than {MAX_ARRAY_BYTES}")
        with np.load(content, allow_pickle=False) as arrays:
            found = {str(key): np.asarray(arrays[key]) for key in arrays.files}
    except Rejected:
        raise
    except Exception as error:  # noqa: BLE001, RUF100 - zipfile, zlib and numpy share no base
        raise _bad_arrays(path, str(error) or type(error).__name__) from None
    for key, array in found.items():
        if element_of(array.dtype) is None:
            raise _bad_arrays(path, f"`{key}` holds {array.dtype}")
    return {key: Data(array) for key, array in found.items()}


def _bad_arrays(path: Path, why: str) -> Rejected:
    return Rejected([BAD_ARRAYS.at(Loc(path.name), name=path.name, why=why)], unusable=True)


def ir_files(stem: str, graph: Graph, head: str = "") -> dict[str, bytes]:
    """Return the files of a graph by name; `head` is put in front of the text."""
    return text_files(stem, head + print_graph(graph), constants(graph))


def text_files(stem: str, text: str, arrays: Mapping[str, Data]) -> dict[str, bytes]:
    """Return `STEM.ir` and, where there are arrays, `STEM.npz`."""
    files = {f"{stem}.ir": text.encode()}
    if arrays:
        files[f"{stem}.npz"] = pack_arrays(arrays)
    return files


def pack_arrays(arrays: Mapping[str, Data]) -> bytes:
    """Return an `.npz` archive that depends on nothing but names and values."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for key in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[key].array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy")  # dated 1980, whatever the clock says
            archive.writestr(entry, member.getvalue())
    return content.getvalue()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that exists, each of them whole."""
    try:
        for name, content in files.items():
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None


def write_folder(folder: Path, files: Mapping[str, bytes], *, force: bool = False) -> None:
    """Make a folder that holds these files and no others, in one step.

    A folder that exists is replaced if it holds nothing but output of an earlier run, or by
    `force`. Raises `Rejected` otherwise, and where the disk says no.
    """
    folder = Path(os.path.abspath(folder))
    try:
        if folder.exists() and not force:
            _check_ours(folder, files)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None
    try:
        _fill(made, files)
        _put(made, folder)
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None
    finally:
        _remove(made)


def _put(made: Path, folder: Path) -> None:
    """Put a folder in the place of another, or of a file, which it then is.

    In one step where the system can: whoever looks finds the old one or the new one.
    """
    if not os.path.lexists(folder):
        made.rename(folder)
    elif not _exchanged(made, folder):
        aside = folder.with_name(f"{made.name}.old")
        folder.rename(aside)
        try:
            made.rename(folder)
        except BaseException:
            aside.rename(folder)
            raise
        aside.rename(made)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names by Linux's renameat2; False where that is not possible."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    return int(rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)) == 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.chmod(0o755)
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _check_ours(folder: Path, files: Mapping[str, bytes]) -> None:
    if not folder.is_dir():
        raise _unwritable(folder, "it is a file")
    found = (path for path in folder.rglob("*") if not path.is_dir())
    names = {path.relative_to(folder).as_posix() for path in found}
    foreign = sorted(n for n in names - _made_before(folder) - set(files) if not _DUMP.fullmatch(n))
    if foreign:
        raise _unwritable(folder, f"it holds other files, such as `{foreign[0]}`")


def _made_before(folder: Path) -> set[str]:
    """Return the names that the manifest in a folder lists as outputs, and its own."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        return {MANIFEST, *map(str, manifest["outputs"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _unwritable(path: Path, why: str) -> Rejected:
    return Rejected([UNWRITABLE.at(Loc(path.name), name=path.name, why=why.lower())], unusable=True)
