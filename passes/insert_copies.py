"""Layers that only copy, where no layout of a tensor serves all its readers."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Final

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.identity import OUTPUT_SHIFT, layer_weight
from ai8xc.passes.layers import rules
from ai8xc.passes.layers.limits import passes_of
from ai8xc.passes.placement.problem import Conflict, state
from ai8xc.rules.catalogue import check_one

_ROUNDS: Final = 200
_COPY: Final = "_copy"
"""Ends the names of copies for one reader."""


@register
@dataclass(frozen=True)
class InsertCopies(Pass):
    """reader(x) => reader(copy(x)), for a reader that wants x where another cannot have it.

    Operands of an element-wise layer lie word by word between each other, joined tensors side by
    side; who reads one of them alone wants it without gaps. The copy is made right before its
    reader. It moves data as they are, or by identity weights where processors must change.
    """

    name: ClassVar[str] = "insert-copies"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return a graph in which every reader can be served."""
        device = ctx.need(Device)
        for _ in range(_ROUNDS):
            conflict = state(graph, device)
            if not isinstance(conflict, Conflict):
                break
            graph = _resolved(graph, conflict, device)
        else:
            raise RuntimeError("the copies do not come to an end")
        for finding in check_one("NET-LAYERS", graph, device):
            ctx.report(finding)
        return graph


def _resolved(graph: Graph, conflict: Conflict, device: Device) -> Graph:
    layer, operand = conflict.layer, _to_copy(graph, conflict)
    if operand is None:
        if (
            conflict.operand is None
            and not conflict.hopeless
            and isinstance(layer, ai8x.Passthrough)
        ):
            return _moved(graph, layer, device)
        raise Rejected([_no_layout(layer, device)])
    x = layer.xs[operand]
    made: list[Op] = []
    if conflict.interleaved or layer.gather == "pixels":
        copy: ai8x.Layer = ai8x.Passthrough(xs=(x,), name=f"{x.name}{_COPY}", loc=x.loc)
    else:
        weight = layer_weight(x.type.shape[1])
        made.append(weight)
        copy = ai8x.Conv2d(
            xs=(x,),
            weight=weight,
            output_shift=OUTPUT_SHIFT,
            name=f"{x.name}{_COPY}",
            loc=x.loc,
        )
    xs = tuple(copy if i == operand else other for i, other in enumerate(layer.xs))
    return _changed(graph, layer, [*made, copy, replace(layer, xs=xs)])


def _no_layout(layer: ai8x.Layer, device: Device) -> Diagnostic:
    """Return the finding about a layer whose inputs cannot lie as it reads them."""
    channels = layer.in_shape[0]
    step = layer.parts * passes_of(channels, device)
    if layer.parts > 1 and step >= device.write_step_limit:
        most = (device.write_step_limit - 1) // passes_of(channels, device)
        help = f"combine up to {most} at a time, or use up to {device.processors} channels"
        return rules.APART.at(
            layer, count=layer.parts, channels=channels, device=device.name, help=help
        )
    sizes = ", ".join(str(x.type.shape[1]) for x in layer.xs)
    help = f"join parts whose channels are multiples of {device.processors}"
    return rules.JOIN.at(layer, sizes=sizes, help=help)


def _to_copy(graph: Graph, conflict: Conflict) -> int | None:
    """Return the operand to copy: that in the way, or what else ties it; None where all are."""
    if conflict.operand is None:
        return None
    xs = conflict.layer.xs
    others = (number for number in range(len(xs)) if number != conflict.operand)
    for number in (conflict.operand, *others):
        if not _is_copy(graph, xs[number]):
            return number
    return None


def _is_copy(graph: Graph, op: Op) -> bool:
    """Whether this is a copy for one reader: another one would not lie better."""
    copies = isinstance(op, ai8x.Passthrough | ai8x.Conv2d) and op.pool is None and op.parts == 1
    return copies and op.name.endswith(_COPY) and graph.uses[op] == 1


def _moved(graph: Graph, layer: ai8x.Passthrough, device: Device) -> Graph:
    """Let weights write to other processors than the layer reads from.

    Operands of several passes need a layer of their own where the device has rule ELT-MP.
    """
    alone = device.has("multipass-eltwise-limit") and layer.parts > 1
    if not alone or passes_of(layer.in_shape[0], device) == 1:
        weight = layer_weight(layer.in_shape[0])
        return _changed(graph, layer, [weight, _with_weights(layer, weight)])
    inner = replace(layer, name=f"{layer.name}_in")
    weight = layer_weight(layer.in_shape[0])
    copy = ai8x.Conv2d(
        xs=(inner,), weight=weight, output_shift=OUTPUT_SHIFT, name=layer.name, loc=layer.loc
    )
    return _changed(graph, layer, [inner, weight, copy])


def _with_weights(layer: ai8x.Passthrough, weight: Op) -> ai8x.Conv2d:
    shared = {f.name: getattr(layer, f.name) for f in fields(layer)}
    return ai8x.Conv2d(weight=weight, output_shift=OUTPUT_SHIFT, **shared)


def _changed(graph: Graph, old: Op, made: list[Op]) -> Graph:
    """Return the graph with the ops of `made` in the place of one; the last is its value."""
    new: dict[Op, Op] = {old: made[-1]}
    ops: list[Op] = []
    for op in graph.ops:
        if op is old:
            ops.extend(made)
            continue
        current = op.with_operands(new)
        if current is not op:
            new[op] = current
        ops.append(current)
    outputs = [new.get(op, op) for op in graph.outputs]
    return make_graph(graph.name, graph.level, ops, outputs, graph.attributes)
