"""The hardware layers of a network as rows of a table, and how much of each resource they take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ai8xc.dialects import ai8x
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Graph, Mask, Op, make_graph
from ai8xc.ir.report_model import LayerRow, Margin
from ai8xc.passes.estimate_cycles import estimate, multiplications
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.layers.limits import lanes_of
from ai8xc.passes.placement.kernels import kernel_columns
from ai8xc.rules.view import LayerView, NetworkView

if TYPE_CHECKING:
    from ai8xc.device import Device


def layer_rows(graph: Graph, device: Device) -> tuple[LayerRow, ...]:
    """Return one row for each layer of a graph of level ai8x, in order of execution."""
    view = NetworkView.of(graph, device)
    if not view.layers:
        return ()
    stood_in = _with_places(graph, device)
    cycles = estimate(stood_in, device)
    counts = [None] * len(view.layers) if cycles is None else [x.total for x in cycles.layers]
    network = HardwareNetwork.of(stood_in, device)
    pairs = zip(view.layers, network.sequence, counts, strict=True)
    return tuple(_row(layer, hardware, count) for layer, hardware, count in pairs)


def _with_places(graph: Graph, device: Device) -> Graph:
    """Return the graph with places for layers that have none, so that their cycles are known."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(current, ai8x.Layer) and current.place is None:
            read = (1 << lanes_of(current.in_shape[0], device)) - 1
            written = (1 << lanes_of(current.type.shape[1], device)) - 1
            place = ai8x.Place(Mask(read), Mask(written), kernel_start=0)
            current = replace(current, place=place)
        new[op] = current
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def _row(layer: LayerView, hardware: HardwareLayer, cycles: int | None) -> LayerRow:
    op, device = layer.op, layer.device
    columns = kernel_columns(op, device)
    bits = layer.weighted.weight_bits if layer.weighted and not layer.weighted.bypass else None
    lanes = lanes_of(layer.channels, device)
    _, channels, rows, width = op.type.shape
    return LayerRow(
        op.name,
        op.loc.nodes,
        ", ".join(parts_of(layer)),
        op.in_shape,
        (channels, rows, width),
        bits,
        columns,
        columns * lanes * device.kernel_bytes_per_column,
        layer.outputs if layer.biased else 0,
        layer.out_bytes(),
        multiplications(hardware),
        cycles,
    )


def parts_of(layer: LayerView) -> Iterator[str]:
    """Yield what a layer does, in the order of the data path."""
    op = layer.op
    if op.parts > 1:
        yield f"{op.eltwise} of {op.parts}"
    elif len(op.xs) > 1:
        yield f"joins {len(op.xs)}"
    if layer.pools and op.pool:
        kind = "average" if op.pool.average else "max"
        yield f"{kind} pool {dims(layer.pool)}/{layer.pool_strides[0]}"
    elif layer.pool_strides != (1, 1):
        yield f"every {layer.pool_strides[0]}. value"
    yield from _operator(layer)
    if layer.weighted and layer.weighted.activation != "none":
        yield layer.weighted.activation
    if layer.streaming:
        yield "streams"
    if op.mode.readahead:
        yield "reads ahead"
    if op.mode.calcx4:
        yield "four outputs at once"


def _operator(layer: LayerView) -> Iterator[str]:
    op = layer.op
    match op:
        case ai8x.Conv1d():
            yield f"conv1d {layer.kernel[0]}" + (" depthwise" if layer.groups > 1 else "")
        case ai8x.Conv2d():
            yield f"conv2d {dims(layer.kernel)}" + (" depthwise" if layer.groups > 1 else "")
        case ai8x.ConvTranspose2d():
            yield f"transposed {dims(layer.kernel)}"
        case ai8x.Linear():
            yield "linear" + (" on all values" if op.flatten else "")
        case _ if op.parts == 1 and not layer.pools:
            yield "copy"
        case _:
            pass


def margins(graph: Graph, device: Device) -> tuple[Margin, ...]:
    """Return how much of each resource a network takes, and which layer takes the most."""
    view = NetworkView.of(graph, device)
    rows = layer_rows(graph, device)
    if not rows:
        return ()
    placed = all(layer.place is not None for layer in view.layers)
    found = [
        Margin("layers", len(rows) + view.hidden, device.max_layers, "layers"),
        _data(view, bound=not placed),
        _columns(view, rows, bound=not placed),
        Margin("kernel memory", sum(r.kernel_bytes for r in rows), device.kernel_bytes, "bytes"),
        Margin("bias memory", sum(r.bias_bytes for r in rows), device.bias_bytes, "bytes"),
    ]
    cycles = [row.cycles for row in rows]
    if None not in cycles:
        slowest = max(rows, key=lambda row: row.cycles or 0)
        total = sum(count for count in cycles if count is not None)
        found.append(Margin("cycles", total, None, "cycles", slowest.name))
    return tuple(found)


def _data(view: NetworkView, *, bound: bool) -> Margin:
    """Return the highest byte in use of a data memory, or the largest tensor."""
    ends = []
    for layer in view.layers:
        place, last = layer.place, view.behind(layer) is None
        if not layer.streaming or last:
            ends.append(((place.out_offset if place else 0) + layer.out_bytes(), layer.op.name))
        if not layer.streaming:
            ends.append(((place.in_offset if place else 0) + layer.in_bytes(), layer.op.name))
    used, where = max(ends, default=(0, ""))
    limit = view.device.data_memory_bytes
    return Margin("data memory", used, limit, "bytes of each memory", where, bound)


def _columns(view: NetworkView, rows: tuple[LayerRow, ...], *, bound: bool) -> Margin:
    """Return the highest kernel column in use, or the most that the largest layer takes."""
    device = view.device
    ends = []
    for layer, row in zip(view.layers, rows, strict=True):
        start = layer.place.kernel_start if layer.place else None
        ends.append(((start or 0) + row.columns, row.name))
    used, where = max(ends)
    total = sum(row.kernel_bytes for row in rows)
    if bound:  # all kernels, spread evenly over all processors
        even = -(-total // (device.processors * device.kernel_bytes_per_column))
        used = max(used, even)
    return Margin("kernel columns", used, device.kernel_columns, "columns", where, bound)
