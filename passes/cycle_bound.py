"""The least clock cycles of a layer where no cycle model of the device is known (MAX78002).

The multipliers give one output channel a cycle, or four with calcx4, in each input pass and for
each pixel; layers without sums over channels move up to four of each group of processors. Reading,
padding and setting up come on top, unless a layer reads ahead. This is no estimate: how much comes
on top nobody has published. Source: hardware semantics, sections 3 (`calcx4`) and 4.1; the form
of the term is that of MAX78000, section 4.3 (`out`).
"""

from __future__ import annotations

from typing import Final

from ai8xc.device import Device
from ai8xc.ir.core import Graph
from ai8xc.passes.hardware.layer import HardwareLayer, ceil_div
from ai8xc.passes.hardware.network import HardwareNetwork

AT_ONCE: Final = 4
"""Outputs a cycle with calcx4."""


def least_cycles(layer: HardwareLayer) -> int:
    """Return the cycles that computing the outputs of a placed layer takes."""
    outputs, rows, columns = layer.out_shape
    if layer.flatten:
        return outputs * layer.passes * layer.flat_pixels
    if not layer.convolves or layer.depthwise:
        return rows * columns * layer.passes * max(1, layer.time_slots)
    return rows * columns * layer.passes * ceil_div(outputs, AT_ONCE if layer.calcx4 else 1)


def lower_bounds(graph: Graph, device: Device) -> tuple[int, ...] | None:
    """Return this for each layer in order of execution; None where cycles can be estimated."""
    if device.has("cycle-model"):
        return None
    return tuple(least_cycles(layer) for layer in HardwareNetwork.of(graph, device).sequence)
