"""Arithmetic that the compiler can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Data, Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite
from ai8xc.ir.types import element_of


@register
@dataclass(frozen=True)
class FoldConstants(Pass):
    """Compute ops whose operands are all constants.

    Results of more than `limit` values stay ops, so that a small file cannot ask for a large
    memory. Quantization of constants stays too: the integers of the model are kept as they are.
    """

    name: ClassVar[str] = "fold-constants"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})
    limit: int = 1 << 22

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with constants for what can be computed."""

        def op_of_constants(op: Op, uses: Mapping[Op, int]) -> Op | None:
            """op(constant, ...) => constant."""
            if not op.operands or isinstance(op, nn.Quantize | nn.Dequantize):
                return None
            arrays = [x.value.array for x in op.operands if isinstance(x, nn.Constant)]
            if len(arrays) != len(op.operands) or op.type.size > self.limit:
                return None
            with np.errstate(all="ignore"):
                value = op.compute(*arrays)
            if element_of(value.dtype) != op.type.element or value.shape != op.type.shape:
                return None
            loc = op.loc.fuse(*(x.loc for x in op.operands))
            return nn.Constant(Data(value), name=op.name, loc=loc)

        return rewrite(graph, (op_of_constants,))
