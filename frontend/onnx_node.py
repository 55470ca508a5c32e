"""One ONNX node as its converter sees it: operands, attributes, constant inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ai8xc.frontend.node import LARGEST_INT, BaseNode, Ints
from ai8xc.frontend.rules import WRONG_ELEMENT
from ai8xc.ir.core import Op
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

if TYPE_CHECKING:
    from onnx import AttributeProto, TensorProto

_KINDS: Final = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}
"""The field of each attribute type (`AttributeProto.AttributeType`) that converters read."""


@dataclass(frozen=True)
class Node(BaseNode):
    """An ONNX node.

    `inputs` are the values it reads, None where an optional one is absent. `outputs` has the name
    of each result, None where nothing reads it. `read_tensor` decodes a tensor attribute.
    """

    opset: int
    inputs: tuple[Op | None, ...]
    outputs: tuple[str | None, ...]
    attributes: Mapping[str, AttributeProto]
    read_tensor: Callable[[TensorProto, str, Loc], Array]

    # Inputs

    def get(self, index: int) -> Op | None:
        """Return an optional input."""
        return self.inputs[index] if index < len(self.inputs) else None

    def x(self, index: int = 0) -> Op:
        """Return an input that must be there."""
        value = self.get(index)
        if value is None:
            raise self.malformed(f"input {index} is missing")
        return value

    def floats(self, count: int, optional: int = 0) -> tuple[Op, ...]:
        """Return the first `count` inputs and those of the next `optional` that are there.

        All must hold floating point numbers.
        """
        found = [self.x(index) for index in range(count)]
        more = (self.get(index) for index in range(count, count + optional))
        found.extend(value for value in more if value is not None)
        for value in found:
            self.must_be(value, value.type.is_float)
        return tuple(found)

    def must_be(self, value: Op, right: bool) -> None:
        """Raise `Rejected` about the element type of an input unless it is right."""
        if not right:
            raise self.refuse(WRONG_ELEMENT, element=value.type.element, name=value.name)

    def array(self, index: int, label: str) -> Array | None:
        """Return the value of an optional input that must be constant."""
        value = self.get(index)
        return None if value is None else self.value(value, label)

    def scalar(self, index: int, label: str) -> float | None:
        """Return the number in an optional constant input."""
        found = self.array(index, label)
        if found is None:
            return None
        if found.size != 1:
            raise self.malformed(f"`{label}` has {found.size} values")
        number: float | int = found.reshape(-1)[0].item()
        return number

    def int_list(self, index: int, label: str) -> Ints | None:
        """Return the integers in an optional constant input."""
        found = self.array(index, label)
        if found is None:
            return None
        if found.ndim > 1 or not np.issubdtype(found.dtype, np.integer):
            raise self.malformed(f"`{label}` is not a list of integers")
        return tuple(int(number) for number in found.reshape(-1))

    # Attributes

    def has(self, name: str) -> bool:
        """Whether the attribute is there."""
        return name in self.attributes

    def _attribute(self, name: str, field: str) -> AttributeProto | None:
        found = self.attributes.get(name)
        if found is not None and _KINDS.get(found.type) != field:
            raise self.malformed(f"attribute `{name}` has the wrong type")
        return found

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer attribute."""
        found = self._attribute(name, "i")
        return default if found is None else self._moderate(name, found.i)

    def integers(self, name: str) -> Ints | None:
        """Return a list of integers, None when it is absent."""
        found = self._attribute(name, "ints")
        if found is None:
            return None
        return tuple(self._moderate(name, number) for number in found.ints)

    def _moderate(self, name: str, number: int) -> int:
        if abs(number) <= LARGEST_INT or name in ("starts", "ends"):
            return number
        raise self.malformed(f"attribute `{name}` is {number}")

    def flag(self, name: str, default: bool = False) -> bool:
        """Return an integer attribute that is 0 or 1."""
        return bool(self.integer(name, int(default)))

    def real(self, name: str, default: float) -> float:
        """Return a floating point attribute: the shortest decimal number that is meant by it."""
        found = self._attribute(name, "f")
        return default if found is None else shortest(found.f)

    def text(self, name: str, default: str) -> str:
        """Return a string attribute."""
        found = self._attribute(name, "s")
        return default if found is None else found.s.decode("utf-8", "replace")


Converter = Callable[[Node], "Op | tuple[Op | None, ...]"]
"""From a node to its results; ops that it makes are named and located by the importer."""


def shortest(value: float) -> float:
    """Return the float with the fewest digits that is this number in 32 bits."""
    return float(str(np.float32(value)))
