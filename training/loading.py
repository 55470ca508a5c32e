"""Names in a configuration: what comes with the package, or `path/to/file.py:NAME`."""

from __future__ import annotations

import difflib
import importlib.util
import traceback
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name

from ai8xc.training.rules import UNKNOWN_NAME, UNREADABLE, refused


def resolved(kind: str, name: str, known: Mapping[str, str], folder: Path = Path()) -> object:
    """Return the object of a name; `known` has the places of those that come with the package.

    `file.py:NAME` is Python code of the user's, found from `folder`, and is executed.
    """
    if name in known:
        return resolve_name(known[name])
    path, colon, attribute = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(folder / path, attribute, kind)
    close = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(f'`{c}`' for c in close)}?" if close else None
    raise refused(UNKNOWN_NAME, kind=kind, name=name, help=hint or f"known are {', '.join(known)}")


def _from_file(path: Path, attribute: str, kind: str) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise refused(UNREADABLE, path.name, file=path.name, why="there is no such file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever code of the user's raises
        why = failure(error, path)
        raise refused(UNREADABLE, path.name, file=path.name, why=why) from error
    found = vars(module).get(attribute)
    if found is None:
        raise refused(UNKNOWN_NAME, path.name, kind=kind, name=attribute)
    return found


def failure(error: Exception, path: Path | None = None) -> str:
    """Return what an exception says, in one line, and where it left the user's file."""
    text = str(error).strip().partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if path and Path(frame.filename) == path]
    where = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{where}: {text}"
