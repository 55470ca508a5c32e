"""Value types: shape, element type and, from the integer level on, the real scale."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # numpy's arithmetic is only typed for a known or any element type

Element = Literal[
    "f64",
    "f32",
    "f16",
    "i64",
    "i32",
    "i16",
    "i8",
    "i4",
    "i2",
    "i1",
    "bin",
    "u8",
    "u16",
    "u32",
    "bool",
]
"""Element types; `i4`, `i2`, `i1` are packed weights, `bin` a weight that is -1 or +1."""

ELEMENTS: Final[frozenset[str]] = frozenset(get_args(Element))

INTEGER_RANGE: Final[dict[str, tuple[int, int]]] = {
    "i64": (-(2**63), 2**63 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "i8": (-128, 127),
    "i4": (-8, 7),
    "i2": (-2, 1),
    "i1": (-1, 0),
    "bin": (-1, 1),
    "u8": (0, 255),
    "u16": (0, 65535),
    "u32": (0, 2**32 - 1),
    "bool": (0, 1),
}
"""Smallest and largest value of each integer element type."""

_STORAGE: Final[dict[str, str]] = {
    "f64": "float64",
    "f32": "float32",
    "f16": "float16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "i4": "int8",
    "i2": "int8",
    "i1": "int8",
    "bin": "int8",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "bool": "bool",
}

_OF_STORAGE: Final[dict[str, Element]] = {
    "float64": "f64",
    "float32": "f32",
    "float16": "f16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "bool": "bool",
}


def storage(element: str) -> np.dtype[np.generic]:
    """Return the numpy type that holds values of an element type."""
    return np.dtype(_STORAGE[element])


def element_of(dtype: np.dtype[np.generic]) -> Element | None:
    """Return the element type of a numpy type, or None where there is none."""
    return _OF_STORAGE.get(dtype.name)


@dataclass(frozen=True)
class TensorType:
    """A tensor: sizes (batch first, then channels), element type, real value of one integer step.

    `scale` is None in float graphs and where the numbers have no real meaning.
    """

    shape: tuple[int, ...]
    element: Element = "f32"
    scale: float | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point numbers."""
        return self.element.startswith("f")

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        """Return the same elements in another shape."""
        return replace(self, shape=shape)

    def matches(self, declared: TensorType) -> bool:
        """Whether text that declares `declared` describes this type; a missing scale fits any."""
        if (self.shape, self.element) != (declared.shape, declared.element):
            return False
        if declared.scale is None or self.scale is None:
            return declared.scale is None or declared.scale == self.scale
        return same_scale(self.scale, declared.scale)

    def __str__(self) -> str:
        """Return the type as text: `tensor<1x3x8x8xi8, scale = 0.0078125>`."""
        dims = "".join(f"{size}x" for size in self.shape)
        scale = "" if self.scale is None else f", scale = {self.scale!r}"
        return f"tensor<{dims}{self.element}{scale}>"


def same_scale(a: float | None, b: float | None) -> bool:
    """Whether two scales are equal but for the rounding of the products they were computed by."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-6)
