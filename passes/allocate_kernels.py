"""Choose the first kernel column of each layer, in the order and with the search of the vendor.

Source: memory description, sections 1.7 and 1.9.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects.ai8x import Layer
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.hardware.kernel_memory import KernelMap
from ai8xc.passes.hardware.kernels import kernel_counts, kernel_shape
from ai8xc.passes.hardware.layer import HardwareLayer, bits, round_up
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.rules.description.of_samples import KAT_DEDUP

KERNELS_FULL = declare(
    "AX401",
    "the kernels of `{layer}` do not fit: {columns} columns are needed on processors {where}",
    """All processors of a layer hold their kernels in the same columns of nine bytes, so the layer
    needs a range that is free on every one of them. Give layers with few input channels other
    processors, use narrower weights, or let the compiler choose the processors.""",
)


QUAD_GROUP = declare(
    "AX403",
    "the start layer `{layer}` is fed four groups at once, but reads from processors {where}",
    """In the quad mode of the fast FIFO the first group's processors of the start layer are
    repeated in the other three groups, so its channels must lie in the first group.""",
)

FOUR_AT_ONCE = declare(
    "AX404",
    "`{layer}` computes four outputs at once, which works for {what} only",
    """calcx4 and the quad mode of the fast FIFO take the kernels of four outputs from four places
    at the same column. Only kernels of nine bytes fill whole columns; and calcx4 counts outputs
    by processors, four by four, so they fill adjacent ones from a multiple of four on.""",
)


MOVED = declare(
    "AX406",
    "the kernels of `{layer}` lie from column {start} on, not from column {refused} as the vendor "
    "has them: {why}",
    """The vendor's tool looks for free columns without regard to where layers that compute four
    outputs at once really store theirs, so that two kernels may share a column and one of them is
    lost. Here kernels go where all of their columns are free.""",
    severity="note",
)


@register
@dataclass(frozen=True)
class AllocateKernels(Pass):
    """Give each layer with weights its first kernel column: first fit, the widest layers first.

    Layers with equal weights on equal processors share their columns unless `deduplicate` is off.
    `start` is the first column in use.
    """

    start: int = 0
    deduplicate: bool = True

    name: ClassVar[str] = "allocate-kernels"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})
    gives: ClassVar[frozenset[str]] = frozenset({"kernels-allocated"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with `kernel_start` in the place of every layer that has kernels."""
        device = ctx.need(Device)
        network = HardwareNetwork.of(graph, device)
        _check_four_at_once(network)
        starts: dict[HardwareLayer, int] = {}
        shared = _originals(network) if self.deduplicate else {}
        columns = KernelMap(device)
        for layer in _order(network):
            if not layer.stores_kernels or layer in shared:
                continue
            start, refused = self._place(layer, network, columns)
            if start is None:
                _report_full(layer, ctx)
                return graph
            if refused is not None:
                _report_moved(layer, refused, start, starts, ctx)
            starts[layer] = start
            columns.take(layer, start)
        starts |= {layer: starts[original] for layer, original in shared.items()}
        for layer, original in shared.items():
            ctx.report(KAT_DEDUP.at(layer.op, layer=layer.op.name, other=original.op.name))
        return replace_places(graph, {layer.op: {"kernel_start": k} for layer, k in starts.items()})

    def _place(
        self, layer: HardwareLayer, network: HardwareNetwork, columns: KernelMap
    ) -> tuple[int | None, int | None]:
        """Return the first column, and that of the vendor where it cannot be that one."""
        refused = None
        for start in self._searched(layer, network, columns):
            if columns.accepts(layer, start):
                return start, refused
            refused = start if refused is None else refused
        return None, refused

    def _searched(
        self, layer: HardwareLayer, network: HardwareNetwork, columns: KernelMap
    ) -> Iterator[int]:
        if _may_search_down(layer) and not _follows_plain(layer, network):
            start = _search_down(layer, columns)
            if start is not None:
                yield start
        factor = 4 if _follows_plain(layer, network) else 1
        step = layer.device.kernel_alignment
        found = _search_up(layer, columns, round_up(self.start, step))
        while found is not None:
            yield round_up(factor * found, step)
            found = _search_up(layer, columns, found + step)


def replace_places(graph: Graph, changes: dict[Layer, dict[str, object]]) -> Graph:
    """Return the graph with fields of the places of some layers changed."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new) if new else op
        if isinstance(op, Layer) and isinstance(current, Layer) and op in changes:
            if current.place is None:
                raise LookupError(f"layer `{op.name}` is not placed")
            place = replace(current.place, **changes[op])  # type: ignore[arg-type] # by contract
            current = replace(current, place=place)
        if current is not op:
            new[op] = current
    if not new:
        return graph
    ops = [new.get(op, op) for op in graph.ops]
    outputs = [new.get(op, op) for op in graph.outputs]
    return make_graph(graph.name, graph.level, ops, outputs, graph.attributes)


def _order(network: HardwareNetwork) -> list[HardwareLayer]:
    """Return the layers as they are placed: those on all processors first."""
    full = network.device.processors
    return sorted(network.by_slot, key=lambda layer: layer.processors.bit_count() < full)


def _originals(network: HardwareNetwork) -> dict[HardwareLayer, HardwareLayer]:
    """Return the first layer that stores the same columns, for each that repeats one."""
    seen: dict[object, HardwareLayer] = {}
    found: dict[HardwareLayer, HardwareLayer] = {}
    for layer in network.by_slot:
        if not layer.stores_kernels:
            continue
        key = _kernel_key(layer)
        if key in seen:
            found[layer] = seen[key]
        else:
            seen[key] = layer
    return found


def _kernel_key(layer: HardwareLayer) -> object:
    weights = layer.weights
    return (
        weights.tobytes(),
        weights.shape,
        layer.kernel,
        (layer.weight_bits, layer.binary, layer.flatten, layer.calcx4, layer.quad, layer.groups),
        (layer.processors, layer.output_processors, layer.channels, layer.out_shape[0]),
    )


def _follows_plain(layer: HardwareLayer, network: HardwareNetwork) -> bool:
    """Whether a calcx4 layer stands behind one without, by number: its start is quadrupled."""
    if not layer.calcx4 or layer.slot == 0:
        return False
    before = [other for other in network.by_slot if other.slot == layer.slot - 1]
    return not (before and before[0].calcx4)


def _may_search_down(layer: HardwareLayer) -> bool:
    """Whether the layer uses large processors only, so that its kernels belong at their end."""
    device = layer.device
    if device.kernel_columns_large == device.kernel_columns:
        return False
    if any(p % device.large_processor_step for p in bits(layer.processors)):
        return False
    limit = device.kernel_instance_columns_large
    return not (layer.depthwise and kernel_counts(layer).columns > limit)


def _search_down(layer: HardwareLayer, columns: KernelMap) -> int | None:
    device, processors = layer.device, bits(layer.processors)
    length, step = kernel_counts(layer).columns, device.kernel_alignment
    top = device.kernel_columns_large - 1
    while top >= 0 and columns.used[processors[0], top]:
        top -= step
    position = 0
    while top >= 0 and position < len(processors):
        processor = processors[position]
        if layer.depthwise:
            size = _instance_size(device, top)
            if (top - 1) // size != (top - length) // size:
                top = top // size * size
        taken = columns.last_taken(processor, top, length)
        if taken is None:
            position += 1
            continue
        top, position = (taken - 1) // step * step, 0
        if top + length > device.kernel_columns_of(processor):
            return None
    start = (top - length + 1) // step * step
    return start if top >= 0 and start >= 0 else None


def _search_up(layer: HardwareLayer, columns: KernelMap, start: int) -> int | None:
    device, processors = layer.device, bits(layer.processors)
    length, step = kernel_counts(layer).columns, device.kernel_alignment
    position = 0
    while position < len(processors):
        if layer.depthwise:
            within = _within_instance(device, start, length)
            if within is None:
                return None
            start = within
        if start + length > device.kernel_columns_of(processors[position]):
            return None
        taken = columns.first_taken(processors[position], start, length)
        if taken is None:
            position += 1
            continue
        start, position = round_up(taken + 1, step), 0
    return start


def _instance_size(device: Device, column: int) -> int:
    if column >= device.kernel_columns:
        return device.kernel_instance_columns_large
    return device.kernel_instance_columns


def _within_instance(device: Device, start: int, length: int) -> int | None:
    """Return where a depthwise layer lies in one physical instance, at `start` or behind it."""
    size = _instance_size(device, start + 2)
    if (start + 1) // size == (start + length) // size:
        return start
    start = round_up(start, size) - 1
    size = _instance_size(device, start + 2)
    return start if (start + 1) // size == (start + length) // size else None


def _check_four_at_once(network: HardwareNetwork) -> None:
    findings = []
    for layer in network.sequence:
        if layer.quad and layer.groups_of(layer.source_processors) != [0]:
            where = ", ".join(map(str, bits(layer.source_processors)))
            findings.append(QUAD_GROUP.at(layer.op, layer=layer.op.name, where=where))
        if layer.stores_kernels and (layer.quad or layer.calcx4):
            what = _wanted(layer)
            if what:
                findings.append(FOUR_AT_ONCE.at(layer.op, layer=layer.op.name, what=what))
    if findings:
        raise Rejected(findings)


def _wanted(layer: HardwareLayer) -> str:
    """Return what a layer lacks to compute four outputs at once, or nothing."""
    if layer.taps != layer.device.kernel_bytes_per_column:
        return "3x3 kernels"
    if layer.depthwise:
        return "convolutions that are not depthwise"
    if layer.calcx4 and not kernel_shape(layer).whole:
        return "outputs that fill adjacent processors from a multiple of four on"
    return ""


def _report_moved(
    layer: HardwareLayer,
    refused: int,
    start: int,
    starts: Mapping[HardwareLayer, int],
    ctx: PassContext,
) -> None:
    why = "some of them would lie outside the memory"
    for other, at in starts.items():
        columns = KernelMap(layer.device)
        columns.take(other, at)
        if not columns.accepts(layer, refused):
            why = f"there they would overwrite kernels of `{other.op.name}`"
            break
    name = layer.op.name
    ctx.report(MOVED.at(layer.op, layer=name, start=start, refused=refused, why=why))


def _report_full(layer: HardwareLayer, ctx: PassContext) -> None:
    device, columns = layer.device, kernel_counts(layer).columns
    processors = bits(layer.processors)
    room = min(device.kernel_columns_of(p) for p in processors)
    where = f"{processors[0]} to {processors[-1]}"
    finding = KERNELS_FULL.at(
        layer.op,
        layer=layer.op.name,
        columns=columns,
        where=where,
        notes=(f"each of them has {room} columns",),
    )
    ctx.report(finding)
