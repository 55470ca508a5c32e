"""What the value of a layer register may depend on: one layer in one group, and its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ai8xc.device import Device
from ai8xc.dialects.ai8x import Layer
from ai8xc.passes.hardware.kernel_shape import KernelCounts
from ai8xc.passes.hardware.kernels import kernel_counts
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.registers import RegisterMap

Fields = Mapping[str, int]


@dataclass(frozen=True, eq=False)
class LayerContext:
    """One layer in one group, and the network around it."""

    network: HardwareNetwork
    registers: RegisterMap
    layer: HardwareLayer
    group: int

    @property
    def device(self) -> Device:
        """The device."""
        return self.network.device

    @property
    def op(self) -> Layer:
        """The layer as the graph has it."""
        return self.layer.op

    @property
    def is_start(self) -> bool:
        """Whether the layer runs first."""
        return self.layer is self.network.start

    @cached_property
    def counts(self) -> KernelCounts:
        """Kernels of the layer."""
        return kernel_counts(self.layer)

    @cached_property
    def memory_step(self) -> int:
        """Pointer step from one data memory to the next, in words."""
        return self.registers.memory("data").stride // 4

    @property
    def word_step(self) -> int:
        """Words between two input pixels of one pass and operand."""
        return (self.layer.place.read_gap + 1) * self.op.parts * self.layer.passes

    def has_field(self, register: str, field: str) -> bool:
        """Whether the device's register has a field."""
        return field in self.registers.register(register).fields


Formula = Callable[[LayerContext], Fields | None]
"""The fields of one register for a layer and group; None where the layer does not write it."""
