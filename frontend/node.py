"""What converters ask of a node of any framework: its constants, its axes, its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ai8xc.dialects import nn
from ai8xc.frontend.rules import MALFORMED, NOT_CONSTANT, UNSUPPORTED
from ai8xc.ir.core import Op
from ai8xc.ir.diag import Rejected, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

Ints = tuple[int, ...]

LARGEST_INT: Final = 2**31 - 1
"""Sizes, strides and pads beyond this are refused before anything is computed with them."""


@dataclass(frozen=True)
class BaseNode:
    """An operator of the user's model and where it stands; `known` has values that are constant."""

    op: str
    loc: Loc
    known: Mapping[Op, Array]

    def malformed(self, why: str) -> Rejected:
        """Return the exception for a node that breaks its operator's definition."""
        return self.refuse(MALFORMED, why=why)

    def unsupported(self, what: str, help: str | None = None) -> Rejected:
        """Return the exception for a form of the operator that cannot be imported."""
        return self.refuse(UNSUPPORTED, help=help, what=what)

    def refuse(self, rule: Rule, *, help: str | None = None, **values: str) -> Rejected:
        """Return the exception for a finding at this node."""
        fields: dict[str, Any] = values  # fill the message of the rule
        return Rejected([rule.at(self.loc, help=help, op=self.op, **fields)])

    def value(self, op: Op, label: str) -> Array:
        """Return the value of an op that must be constant."""
        if isinstance(op, nn.Constant):
            return op.value.array
        if op not in self.known:
            raise self.refuse(NOT_CONSTANT, name=label)
        return self.known[op]

    def axis(self, value: int, rank: int, *, end: bool = False) -> int:
        """Return an axis as a number from 0; `end` allows the position behind the last one."""
        if not -rank <= value < rank + end:
            raise self.malformed(f"axis {value} of a tensor with {rank} axes")
        return value + rank if value < 0 else value

    def axes(self, values: Sequence[int], rank: int) -> Ints:
        """Return axes as sorted numbers from 0; none may come twice."""
        found = sorted(self.axis(value, rank) for value in values)
        if len(set(found)) != len(found):
            raise self.malformed("an axis is named twice")
        return tuple(found)
