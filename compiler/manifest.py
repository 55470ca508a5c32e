"""The manifest `ai8xc.json`: what was compiled, how, and what came out.

It depends on the inputs and the options alone: no time, no folder, no order of a hash table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ai8xc import __version__


def manifest_text(
    facts: Mapping[str, object],
    options: Mapping[str, object],
    sources: Sequence[Path],
    files: Mapping[str, bytes],
) -> str:
    """Return the manifest of `files`, compiled from `sources`; `facts` are the backend's."""
    entries: dict[str, object] = {
        "tool": {"name": "ai8xc", "version": __version__},
        **facts,
        "options": options,
        "inputs": {path.name: digest(path.read_bytes()) for path in sources if path.is_file()},
        "outputs": {name: digest(files[name]) for name in sorted(files)},
    }
    return _lines(entries) + "\n"


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file as the manifest writes it."""
    return hashlib.sha256(content).hexdigest()


def _lines(value: object, depth: int = 0) -> str:
    """Return JSON with one line for each item of the outer levels, so that changes can be read."""
    inner, outer = "  " * (depth + 1), "  " * depth
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    flat = json.dumps(value)
    if len(flat) + len(outer) <= 96:
        return flat
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {_lines(item, depth + 1)}" for key, item in value.items()]
        opening, closing = "{}"
    else:
        rows = [_lines(item, depth + 1) for item in value]
        opening, closing = "[]"
    body = ",\n".join(inner + row for row in rows)
    return f"{opening}\n{body}\n{outer}{closing}"
