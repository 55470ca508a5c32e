"""What does not go together in the keys of one described layer.

The rules of the hardware level see layers that could be made; these see the description.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ai8xc.device import Device
from ai8xc.frontend import vendor_rules as rules
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_schema import LayerDescription
from ai8xc.frontend.vendor_sequence import Step
from ai8xc.frontend.vendor_weights import LayerWeights
from ai8xc.ir.diag import Rule
from ai8xc.rules.catalogue import rule_of
from ai8xc.rules.description import of_keys, of_operators

Misfit = tuple[str, Rule, object]
"""A key, the rule that it breaks, and its value."""


@dataclass(frozen=True)
class LayerKeys:
    """The keys of a layer with its weights; `wide`: its output has 32 bits."""

    step: Step
    options: NetworkOptions
    weights: LayerWeights | None
    wide: bool

    def misfits(self) -> Iterator[Misfit]:
        """Yield keys that contradict others, the rules they break, and their values."""
        layer, operator = self.step.layer, self.step.operator
        if layer.operands and not self.step.eltwise:
            yield "operands", of_keys.OPERANDS_ELT, layer.operands
        if layer.pool_dilation not in (None, (1, 1)) and not self._pools:
            yield "pool_dilation", of_keys.POOLDIL_POOL, layer.pool_dilation
        yield from self._stride_misfits()
        yield from self._output_pad_misfits()
        if operator == "none":
            yield from self._passthrough_misfits()
            return
        if operator == "linear" and layer.kernel_size is not None:
            yield "kernel_size", of_operators.LINEAR_KERNEL, layer.kernel_size
        flattens = operator == "linear" or (operator == "conv2d" and self._kernel_is_one())
        if layer.flatten and not flattens:
            yield "flatten", rules.FLATTEN, operator
        if operator == "convtranspose2d" and max(layer.dilation or (1, 1)) > 1:
            yield "dilation", of_operators.X2D_DIL, layer.dilation

    def _kernel_is_one(self) -> bool:
        weights = self.weights
        return weights is None or weights.array.ndim == 2

    @property
    def _pools(self) -> bool:
        return self.step.layer.max_pool is not None or self.step.layer.avg_pool is not None

    def _stride_misfits(self) -> Iterator[Misfit]:
        if self.step.layer.stride is None:
            return
        stride, operator = self.step.layer.stride[0], self.step.operator
        only = 2 if operator == "convtranspose2d" else 1
        if self._pools and stride != 1 and only == 1:
            yield "stride", of_keys.STRIDE_POOL, stride
        elif stride != only:
            yield "stride", rules.STRIDES.get(operator, of_operators.CONV2D_STRIDE), stride

    def _output_pad_misfits(self) -> Iterator[Misfit]:
        pad = self.step.layer.output_pad
        if self.step.operator == "convtranspose2d":
            if pad not in (None, 1):
                yield "output_pad", of_operators.X2D_OPAD, pad
        elif pad:
            yield "output_pad", of_operators.OPAD_OTHER, pad

    def _passthrough_misfits(self) -> Iterator[Misfit]:
        layer = self.step.layer
        active = layer.activate not in (None, "none") and not self.options.ignore_activation
        given = {
            "activate": active,
            "pad": layer.pad,
            "output_shift": layer.output_shift,
            "output_width": self.wide,
            "dilation": layer.dilation not in (None, (1, 1)),
            "flatten": layer.flatten,
        }
        for key, wrong in given.items():
            if wrong:
                yield key, rules.PASSTHROUGH[key], wrong


def beyond_limits(
    layer: LayerDescription, pooled: tuple[int, int], device: Device
) -> Iterator[tuple[str, Rule, dict[str, object]]]:
    """Yield keys that are beyond a limit of the device, the rules, and values of the messages.

    `pooled` are rows and columns behind pooling. For layers that could not be made: the others are
    looked at by the rules themselves.
    """
    for key, offset in (("in_offset", layer.in_offset), ("out_offset", layer.out_offset)):
        if (offset or 0) >= device.offset_limit:
            yield key, rule_of("OFFS-RANGE"), {"offset": offset}
    rows, columns = pooled
    if layer.flatten and rows * columns > device.max_flatten_pixels:
        yield "flatten", rule_of("FLAT-HW"), {"rows": rows, "columns": columns}
