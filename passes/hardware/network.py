"""The layers of a placed graph as the hardware numbers and runs them.

Source: register description, sections 4.1, 4.2 and 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ai8xc.device import Device
from ai8xc.dialects.ai8x import Constant, Layer, Weighted, layers
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import fact
from ai8xc.passes.hardware.layer import HardwareLayer


@dataclass(frozen=True, eq=False)
class HardwareNetwork:
    """All layers; `sequence` is the order of execution."""

    graph: Graph
    device: Device
    settings: Settings
    sequence: tuple[HardwareLayer, ...]

    @classmethod
    def of(cls, graph: Graph, device: Device) -> HardwareNetwork:
        """Return the layers of a graph of level ai8x, numbered; processors must be assigned."""
        settings = Settings.of(graph)
        found = layers(graph.ops)
        first = settings.start_layer
        slots = [_slot(layer, first + order) for order, layer in enumerate(found)]
        resets = [
            order > 0
            and device.has("average-reset-layer")
            and layer.pool is not None
            and layer.pool.average
            and found[order - 1].parts > 1
            for order, layer in enumerate(found)
        ]
        hidden = [slot for slot, reset in zip(slots, resets, strict=True) if reset]
        sequence = tuple(
            HardwareLayer(
                layer,
                device,
                slots[order],
                slots[order] + sum(other <= slots[order] for other in hidden),
                reset=resets[order],
                centred=_runs_centred(found, order, slots[order], device),
                quad=settings.quad and order == 0,
            )
            for order, layer in enumerate(found)
        )
        return cls(graph, device, settings, sequence)

    @cached_property
    def by_slot(self) -> tuple[HardwareLayer, ...]:
        """The layers in the order of their numbers."""
        return tuple(sorted(self.sequence, key=lambda layer: layer.slot))

    @property
    def start(self) -> HardwareLayer:
        """The layer that runs first."""
        return self.sequence[0]

    @property
    def final(self) -> HardwareLayer:
        """The layer that runs last."""
        return self.sequence[-1]

    @cached_property
    def previous(self) -> Mapping[HardwareLayer, HardwareLayer]:
        """The layer that runs before each layer but the first."""
        return dict(zip(self.sequence[1:], self.sequence, strict=False))

    @cached_property
    def following(self) -> Mapping[HardwareLayer, HardwareLayer]:
        """The layer that runs behind each layer but the last."""
        return dict(zip(self.sequence, self.sequence[1:], strict=False))

    @cached_property
    def hidden(self) -> int:
        """Number of hidden reset layers."""
        return sum(layer.reset for layer in self.sequence)

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """The groups that the network uses, ascending."""
        used: int = self.final.output_processors
        for layer in self.sequence:
            used |= layer.processors
        return tuple(self.final.groups_of(used))

    @cached_property
    def outputs(self) -> tuple[HardwareLayer, ...]:
        """The layers whose values the graph returns, in the order of the graph's outputs."""
        by_op = {layer.op: layer for layer in self.sequence}
        return tuple(by_op[op] for op in self.graph.outputs if isinstance(op, Layer))

    @property
    def any_streaming(self) -> bool:
        """Whether some layer streams."""
        return any(layer.streaming for layer in self.sequence)


def _slot(layer: Layer, order: int) -> int:
    place = layer.place
    return order if place is None or place.slot is None else place.slot


def _runs_centred(found: list[Layer], order: int, slot: int, device: Device) -> bool:
    layer = found[order]
    if slot > device.streaming.layers:
        return False
    if layer.opcode != "ai8x.conv2d":
        return False
    streams = layer.mode.streaming or (order > 0 and found[order - 1].mode.streaming)
    return streams and HardwareLayer(layer, device, slot, slot).own_kernel == (1, 1)


@fact("placed")
def placed(graph: Graph) -> bool:
    """Whether every layer has processors and offsets."""
    return all(layer.place is not None for layer in layers(graph.ops))


@fact("kernels-allocated")
def kernels_allocated(graph: Graph) -> bool:
    """Whether every layer that stores weights has its first column."""
    return all(
        layer.place is not None and layer.place.kernel_start is not None
        for layer in layers(graph.ops)
        if isinstance(layer, Weighted) and not layer.bypass
    )


@fact("biases-allocated")
def biases_allocated(graph: Graph) -> bool:
    """Whether every layer with biases other than 0 has a place for them."""
    return all(
        layer.place is not None
        and (layer.place.bias_start is not None or bool(layer.place.bias_starts))
        for layer in layers(graph.ops)
        if isinstance(layer, Weighted)
        and isinstance(layer.bias, Constant)
        and layer.bias.value.array.any()
    )
