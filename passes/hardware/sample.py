"""The sample input that a program is built and checked with."""

from dataclasses import dataclass

from ai8xc.ir.types import Array


@dataclass(frozen=True, eq=False)
class Sample:
    """Integers as the network's input takes them, channels x rows x columns (or x length)."""

    values: Array
