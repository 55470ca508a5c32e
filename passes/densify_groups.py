"""Grouped convolutions as ordinary ones whose other weights are zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.ir.rewrite import Rule, rewrite
from ai8xc.ir.types import Array
from ai8xc.passes.laws.weights import with_weight


def dense(weight: Array, groups: int) -> Array:
    """Return M x C weights for M x C/groups ones: zero between different groups."""
    outputs, inputs = weight.shape[:2]
    full = np.zeros((outputs, inputs * groups, *weight.shape[2:]), weight.dtype)
    size = outputs // groups
    for group in range(groups):
        rows = slice(group * size, (group + 1) * size)
        full[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return full


def grouped_conv(device: Device) -> Rule:
    """Return the law for a device."""

    def law(op: Op, uses: Mapping[Op, int]) -> Op | None:
        """conv(x, w){groups = g} => conv(x, w with zeros between groups)."""
        if not isinstance(op, q.Conv) or op.groups == 1 or not isinstance(op.weight, q.Constant):
            return None
        each = op.groups == op.x.type.shape[1] == op.weight.type.shape[0]
        # where 32-bit results of a depthwise layer lie is not known: no vector shows one
        if each and device.has("depthwise") and not op.wide:
            return None
        return with_weight(op, dense(op.weight.value.array, op.groups), groups=1)

    return law


def grouped_transpose(op: Op, uses: Mapping[Op, int]) -> Op | None:
    """conv_transpose(x, w){groups = g} => the same with C x M weights."""
    if not isinstance(op, q.ConvTranspose) or op.groups == 1:
        return None
    if not isinstance(op.weight, q.Constant):
        return None
    array = op.weight.value.array
    channels, per_group = array.shape[:2]
    full = np.zeros((channels, per_group * op.groups, *array.shape[2:]), array.dtype)
    size = channels // op.groups
    for group in range(op.groups):
        rows = slice(group * size, (group + 1) * size)
        full[rows, group * per_group : (group + 1) * per_group] = array[rows]
    return with_weight(op, full, groups=1)


@register
@dataclass(frozen=True)
class DensifyGroups(Pass):
    """Replace groups by zeros where the device has no groups; see the laws."""

    name: ClassVar[str] = "densify-groups"
    needs: ClassVar[frozenset[str]] = frozenset({"q"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with groups that the device can compute."""
        return rewrite(graph, (grouped_conv(ctx.need(Device)), grouped_transpose))
