"""One form for each pool: windows with sizes, no flag that has no effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ai8xc.dialects import nn
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import rewrite


def global_average(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """global_average_pool(x) => average_pool(x){kernel = spatial sizes of x}."""
    if not isinstance(op, nn.GlobalAveragePool) or not op.type.is_float:
        return None
    return nn.AveragePool(op.x, op.x.type.shape[2:], name=op.name, loc=op.loc)


def global_max(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """global_max_pool(x) => max_pool(x){kernel = spatial sizes of x}."""
    if not isinstance(op, nn.GlobalMaxPool):
        return None
    return nn.MaxPool(op.x, op.x.type.shape[2:], name=op.name, loc=op.loc)


def mean_over_space(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """reduce_mean(x) over exactly the spatial axes => average_pool(x), all of x in one window.

    Where the axes are dropped, a reshape drops them behind the pool.
    """
    if not isinstance(op, nn.ReduceMean) or not op.type.is_float:
        return None
    shape = op.x.type.shape
    if len(shape) < 3 or set(op.axes) != set(range(2, len(shape))):
        return None
    if op.keep_dims:
        return nn.AveragePool(op.x, shape[2:], name=op.name, loc=op.loc)
    pool = nn.AveragePool(op.x, shape[2:], name=f"{op.name}_pool", loc=op.loc)
    return nn.Reshape(pool, op.type.shape, name=op.name, loc=op.loc)


def ceil_without_effect(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """pool(x){ceil_mode} => pool(x), where the windows that fit are all the windows there are."""
    if not isinstance(op, nn.MaxPool | nn.AveragePool) or not op.ceil_mode:
        return None
    plain = dataclasses.replace(op, ceil_mode=False)
    return plain if plain.type == op.type else None


def count_without_pads(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """average_pool(x){count_include_pad} => average_pool(x), where there are no pads to count.

    What ceil mode adds at the end is counted in neither form.
    """
    if isinstance(op, nn.AveragePool) and op.count_include_pad and not any(op.pads):
        return dataclasses.replace(op, count_include_pad=False)
    return None


LAWS: Final = (
    global_average,
    global_max,
    mean_over_space,
    ceil_without_effect,
    count_without_pads,
)


@register
@dataclass(frozen=True)
class NormalizePools(Pass):
    """Write global pools and means over all of space as pools with a window, flags only if needed.

    The passes behind this one know average and maximum of a window, and nothing else.
    """

    name: ClassVar[str] = "normalize-pools"
    needs: ClassVar[frozenset[str]] = frozenset({"nn"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with pools in one form."""
        return rewrite(graph, LAWS)
