"""One operation of an exported torch program as its converter sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ai8xc.frontend.building import constant
from ai8xc.frontend.node import LARGEST_INT, BaseNode, Ints
from ai8xc.frontend.pt2_file import Argument, Unreadable
from ai8xc.frontend.rules import NOT_CONSTANT, WRONG_ELEMENT
from ai8xc.ir.core import Op


@dataclass(frozen=True)
class Node(BaseNode):
    """An operation: arguments by name, tensors among them as ops.

    An argument that has its default is absent. `read` tells for each result whether anything
    reads it.
    """

    arguments: Mapping[str, Argument | Op]
    read: tuple[bool, ...]

    def x(self, name: str = "self") -> Op:
        """Return a tensor that must be there."""
        found = self.arguments.get(name)
        if not isinstance(found, Op):
            raise self.malformed(f"`{name}` is no tensor")
        return found

    def real(self, name: str = "self") -> Op:
        """Return a tensor of floating point numbers that must be there."""
        found = self.x(name)
        self.must_be(found, name, found.type.is_float)
        return found

    def optional(self, name: str) -> Op | None:
        """Return a tensor of floating point numbers, None where it is absent."""
        return None if self.arguments.get(name) is None else self.real(name)

    def must_be(self, value: Op, name: str, right: bool) -> None:
        """Raise `Rejected` about the element type of an argument unless it is right."""
        if not right:
            raise self.refuse(WRONG_ELEMENT, element=value.type.element, name=name)

    def tensors(self, name: str = "tensors") -> tuple[Op, ...]:
        """Return a list of tensors that must not be empty."""
        found = self.arguments.get(name)
        if not isinstance(found, tuple) or not found:
            raise self.malformed(f"`{name}` is no list of tensors")
        ops = tuple(op for op in found if isinstance(op, Op))
        if len(ops) != len(found):
            raise self.malformed(f"`{name}` is no list of tensors")
        return ops

    def operand(self, name: str, like: Op) -> Op:
        """Return a tensor or a number; a number has the element type of `like`."""
        found = self.arguments.get(name)
        if isinstance(found, Op):
            return found
        kind = np.float32 if like.type.is_float else np.int64
        return constant(np.array(self.number(name), kind))

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number, or the value of a constant of one element."""
        found = self.arguments.get(name)
        if isinstance(found, Op):
            value = self.value(found, name)
            if value.size != 1:
                raise self.refuse(NOT_CONSTANT, name=name)
            return float(value.reshape(-1)[0])
        if found is None and default is not None:
            return default
        if not isinstance(found, int | float):
            raise self.malformed(f"`{name}` is no number")
        return found

    def integer(self, name: str, default: int | None = None) -> int:
        """Return an integer."""
        found = self.arguments.get(name)
        if found is None and default is not None:
            return default
        if not isinstance(found, int):
            raise self.malformed(f"`{name}` is no integer")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a truth value."""
        return bool(self.integer(name, int(default)))

    def text(self, name: str, default: str) -> str:
        """Return a string."""
        found = self.arguments.get(name)
        return found if isinstance(found, str) else default

    def ints(self, name: str, count: int | None = None, default: int | None = None) -> Ints:
        """Return a list of integers; a single one stands for `count` of them.

        An absent or empty list is `count` times the default.
        """
        found = self.arguments.get(name)
        if isinstance(found, int):
            found = (found,)
        if count is not None and default is not None and not found:
            return (default,) * count
        if isinstance(found, Unreadable) or not isinstance(found, tuple):
            raise self.malformed(f"`{name}` is no list of integers")
        values = tuple(value for value in found if isinstance(value, int))
        if len(values) != len(found) or any(abs(value) > LARGEST_INT for value in values):
            raise self.malformed(f"`{name}` is no list of moderate integers")
        if count is not None and len(values) == 1:
            return values * count
        if count is not None and len(values) != count:
            raise self.malformed(f"`{name}` has {len(values)} values, {count} are needed")
        return values


Converter = Callable[[Node], "Op | tuple[Op | None, ...]"]
"""From an operation to its results; ops that it makes are named and located by the importer."""
