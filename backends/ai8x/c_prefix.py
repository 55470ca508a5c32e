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


def file_name(name: str, prefix: str) -> str:
    """Return the name of a file in a project with this prefix, which may be empty."""
    return f"{prefix}_{name}" if prefix and name in FILES else name


def prefixed(files: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the files of a project with a prefix in place of `cnn`."""
    if not prefix:
        return dict(files)
    return {file_name(name, prefix): _renamed(text, prefix) for name, text in files.items()}


def _renamed(text: str, prefix: str) -> str:
    def new(match: re.Match[str]) -> str:
        if match[0] == "memcpy32":
            return f"{prefix}_memcpy32"
        return f"{prefix}_" if match[0].islower() else f"{prefix.upper()}_"

    for name in FILES:
        text = re.sub(rf"(?<![\w.]){re.escape(name)}\b", file_name(name, prefix), text)
    return _NAME.sub(new, text)
