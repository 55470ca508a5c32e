"""The lowest free place among taken intervals."""

from __future__ import annotations

from collections.abc import Iterable


def lowest_free(at_least: int, forbidden: Iterable[tuple[int, int]], step: int) -> int:
    """Return the lowest multiple of `step` from `at_least` on that no open interval contains."""
    place = -(-at_least // step) * step
    for low, high in sorted(forbidden):
        if low < place < high:
            place = -(-high // step) * step
    return place
