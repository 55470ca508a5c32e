"""Typed access to the plain dictionary of a report, for those who draw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

Json = Mapping[str, object]


def _is_mapping(value: object) -> TypeGuard[Json]:
    return isinstance(value, Mapping)


def record(data: Json, key: str) -> Json:
    """Return a dictionary; empty where there is none."""
    value = data.get(key)
    return value if _is_mapping(value) else {}


def records(data: Json, key: str) -> list[Json]:
    """Return a list of dictionaries; empty where there is none."""
    value = data.get(key)
    return [item for item in value if _is_mapping(item)] if isinstance(value, list) else []


def items(data: Json, key: str) -> Sequence[object]:
    """Return a list of anything; empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, list) else []


def whole(data: Json, key: str) -> int:
    """Return an integer, 0 where there is none."""
    value = data.get(key)
    return value if isinstance(value, int) else 0


def wholes(data: Json, key: str) -> list[int]:
    """Return the integers of a list."""
    return [value for value in items(data, key) if isinstance(value, int)]


def real(data: Json, key: str) -> float | None:
    """Return a number, None where there is none."""
    value = data.get(key)
    return float(value) if isinstance(value, int | float) else None


def text(data: Json, key: str) -> str:
    """Return a string, empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def texts(data: Json, key: str) -> list[str]:
    """Return the strings of a list."""
    return [value for value in items(data, key) if isinstance(value, str)]


def pairs(data: Json, key: str) -> list[tuple[int, int]]:
    """Return pairs of integers."""
    return [(p[0], p[1]) for p in items(data, key) if isinstance(p, list) and len(p) == 2]


def dims(data: Json, key: str) -> str:
    """Return sizes as `16 x 28 x 28`."""
    return " x ".join(map(str, items(data, key)))
