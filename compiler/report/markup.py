"""Markup whose text is escaped by construction: only `tag` makes tags, and it escapes strings."""

from __future__ import annotations

from html import escape
from typing import Final

Value = str | int | float | None

_EMPTY: Final = frozenset({"meta", "rect", "line", "path", "circle", "use"})
"""Elements without content, as this project uses them."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(element: str, *children: str, **attributes: Value) -> Markup:
    """Return an element; an attribute of None is left out, `class_` means class, `_` means `-`."""
    shown = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if not children and element in _EMPTY:
        return Markup(f"<{element}{shown}/>")
    return Markup(f"<{element}{shown}>{joined(*children)}</{element}>")


def joined(*children: str) -> Markup:
    """Return children one after the other, those that are no markup escaped."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children))


def number(value: Value) -> str:
    """Return a value as an attribute holds it: numbers short, with at most two decimals."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    return str(value)
