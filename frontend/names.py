"""Names of framework models as names of ops."""

from __future__ import annotations

import re
from collections import Counter

_FOREIGN = re.compile(r"[^A-Za-z0-9_.$-]+")


def sanitised(name: str) -> str:
    """Return a name without the characters that the text of a graph does not allow in names.

    Slashes, which separate modules in names that torch writes, become dots.
    """
    return _FOREIGN.sub("_", name.strip("/").replace("/", ".")).strip("_") or "value"


def shown(name: str) -> str:
    """Return a name as it is, but for characters that would not print."""
    return "".join(char if char.isprintable() else "?" for char in name)


class Names:
    """Gives out names, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._count: Counter[str] = Counter()

    def claim(self, wanted: str) -> str:
        """Return the sanitised name, with a number behind it where it is taken."""
        base = name = sanitised(wanted)
        while name in self._taken:
            self._count[base] += 1
            name = f"{base}_{self._count[base] + 1}"
        self._taken.add(name)
        return name
