"""Graphs on disk: `NAME.ir` with its constants in `NAME.npz`, written whole or not at all."""

from __future__ import annotations

import io
import os
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
from ai8xc.ir.types import element_of

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
    """The folder of an output must exist and be writable. A folder that holds other files than
    those an earlier run has written there is never replaced.""",
)

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

    text = read_text(path)
    beside = path.with_suffix(".npz")
    arrays = read_arrays(beside) if str(path) != "-" and beside.exists() else {}
    return read_graph(text, "<stdin>" if str(path) == "-" else path.name, arrays)


def read_arrays(path: Path) -> dict[str, Data]:
    """Return the arrays of an `.npz` file by name."""

    def refuse(why: str) -> Rejected:
        return Rejected([BAD_ARRAYS.at(Loc(path.name), name=path.name, why=why)], unusable=True)

    content = io.BytesIO(read_bytes(path, MAX_ARRAY_BYTES))
    try:
        with zipfile.ZipFile(content) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_ARRAY_BYTES:
            raise refuse(f"they take {unpacked} bytes, more than {MAX_ARRAY_BYTES}")
        with np.load(content, allow_pickle=False) as arrays:
            found = {str(key): np.asarray(arrays[key]) for key in arrays.files}
    except Rejected:
        raise
    except Exception as error:  # noqa: BLE001, RUF100 - zipfile, zlib and numpy share no base
        raise refuse(str(error) or type(error).__name__) from None
    for key, array in found.items():
        if element_of(array.dtype) is None:
            raise refuse(f"`{key}` holds {array.dtype}")
    return {key: Data(array) for key, array in found.items()}


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
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[key].array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{key}.npy")  # dated 1980, whatever the clock says
            entry.compress_type = zipfile.ZIP_DEFLATED
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


def write_folder(folder: Path, files: Mapping[str, bytes], ours: frozenset[str]) -> None:
    """Make a folder that holds these files and no others, in one step.

    A folder that exists is replaced if all its files have a suffix in `ours`: it came from an
    earlier run. Raises `Rejected` otherwise, and where the disk says no.
    """
    folder = Path(os.path.abspath(folder))
    try:
        if folder.exists():
            _check_ours(folder, ours)
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error.strerror or str(error)) from None
    try:
        made.chmod(0o755)
        for name, content in files.items():
            (made / name).write_bytes(content)
        if folder.exists():
            folder.rename(made / ".old")  # the old one moves into the new one, then is gone
            made.rename(folder)
            shutil.rmtree(folder / ".old")
        else:
            made.rename(folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise _unwritable(folder, error.strerror or str(error)) from None


def _check_ours(folder: Path, ours: frozenset[str]) -> None:
    if not folder.is_dir():
        raise _unwritable(folder, "it is a file")
    foreign = sorted(p.name for p in folder.iterdir() if p.is_dir() or p.suffix not in ours)
    if foreign:
        raise _unwritable(folder, f"it holds other files, such as `{foreign[0]}`")


def _unwritable(path: Path, why: str) -> Rejected:
    return Rejected([UNWRITABLE.at(Loc(path.name), name=path.name, why=why.lower())], unusable=True)
