"""What a placement costs, in a few numbers: to compare one with another."""

from __future__ import annotations

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.passes.estimate_cycles import estimate
from ai8xc.passes.hardware.kernels import kernel_counts
from ai8xc.passes.hardware.network import HardwareNetwork, kernels_allocated


def summary(graph: Graph, device: Device) -> dict[str, int | None]:
    """Return the numbers of a placed graph; None for those that cannot be told.

    `cycles` is the estimate, `layers` counts hardware layers, `kernel_columns` is the first column
    of the kernel memory that no layer uses (as if those of calcx4 layers lay side by side),
    `data_bytes` the end of the data in one data memory.
    """
    try:
        if not kernels_allocated(graph):
            graph = AllocateKernels().run(graph, PassContext(device))
    except Rejected:
        pass
    network = HardwareNetwork.of(graph, device)
    made = estimate(graph, device)
    return {
        "cycles": None if made is None else made.total,
        "layers": len(network.sequence) + network.hidden,
        "kernel_columns": _columns(network),
        "data_bytes": max(_data_end(layer) for layer in ai8x.layers(graph.ops)),
    }


def _columns(network: HardwareNetwork) -> int | None:
    ends = [0]
    for layer in network.sequence:
        start = layer.place.kernel_start
        if layer.stores_kernels and start is None:
            return None
        ends.append((start or 0) + (kernel_counts(layer).columns if layer.stores_kernels else 0))
    return max(ends)


def _data_end(layer: ai8x.Layer) -> int:
    place = layer.place
    if place is None:
        return 0
    _, channels, rows, columns = layer.type.shape
    lanes = max(1, place.output_processors.bit_count())
    words = rows * columns * -(-channels // lanes) * (4 if layer.type.element == "i32" else 1)
    return place.out_offset + 4 * ((words - 1) * (place.write_gap + 1) + 1)
