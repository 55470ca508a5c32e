"""Projects whose names in C have a prefix of their own, so that several fit one image.

Functions, variables and macros that a linker or another file can see change, and the names of the
files; the return codes and the types stay, since all projects agree on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

FILES: Final = ("cnn.c", "cnn.h", "weights.h", "sampledata.h", "sampleoutput.h")
"""Files whose names get the prefix."""

_NAME: Final = re.compile(
    r"\bcnn_(?=[a-z])|\bCNN_(?=(?:ISR|NUM_OUTPUTS|OUTPUT_WORDS|H)\b)|\bmemcpy32\b"
)


def file_names(prefix: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the files that have another name in a project: for its prefix, or as chosen."""
    return {**({name: f"{prefix}_{name}" for name in FILES} if prefix else {}), **chosen}


def prefixed(files: Mapping[str, str], prefix: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a project with a prefix in place of `cnn`, under other names."""
    return {names.get(name, name): _renamed(text, prefix, names) for name, text in files.items()}


def _renamed(text: str, prefix: str, files: Mapping[str, str]) -> str:
    def new(match: re.Match[str]) -> str:
        if match[0] == "memcpy32":
            return f"{prefix}_memcpy32"
        return f"{prefix}_" if match[0].islower() else f"{prefix.upper()}_"

    if files:
        pattern = "|".join(re.escape(name) for name in sorted(files, key=len, reverse=True))
        text = re.sub(rf"(?<![\w.])({pattern})\b", lambda found: files[found[1]], text)
    return _NAME.sub(new, text) if prefix else text
