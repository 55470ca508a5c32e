"""A pass of your own: `ai8xc opt NET.ir --load double_negation.py --passes remove-double-negation`.

A law is a function from an op to its replacement; the docstring says it. A pass is a frozen
dataclass whose fields are its options. Both are found when this file is imported: give it by
`--load`, or name it in the entry-point group `ai8xc.passes` of a package of yours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite


def twice_negated(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """(x * -1) * -1 => x."""
    match op:
        case nn.Mul(a=nn.Mul(a=x, b=nn.Constant() as first), b=nn.Constant() as second):
            return x if _is_minus_one(first) and _is_minus_one(second) else None
        case _:
            return None


def _is_minus_one(constant: nn.Constant) -> bool:
    return bool(np.all(constant.value.array == -1)) and constant.value.array.size == 1


@register
@dataclass(frozen=True)
class RemoveDoubleNegation(Pass):
    """Remove multiplications by -1 that undo each other."""

    name: ClassVar[str] = "remove-double-negation"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph without them."""
        return rewrite(graph, (twice_negated,))
