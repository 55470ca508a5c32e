"""Keys of a described layer that do not go together, before there is a layer to look at."""

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
"""The key at fault, the rule that it breaks, its value."""


@dataclass(frozen=True)
class Keys:
    """What is known of a layer while its keys are compared."""

    step: Step
    options: NetworkOptions
    weights: LayerWeights | None
    channels: int
    wide: bool

    @property
    def layer(self) -> LayerDescription:
        """What the file says."""
        return self.step.layer

    @property
    def outputs(self) -> int:
        """Output channels as far as the weights tell."""
        return 0 if self.weights is None else int(self.weights.array.shape[0])

    def values(self, value: object) -> dict[str, object]:
        """Return what the messages of the rules name."""
        device = self.options.device
        named = {"device": device.name if device else "the device", "d": device}
        counts = dict.fromkeys(("value", "count", "parts", "groups"), value)
        sizes = {"channels": self.channels, "outputs": self.outputs}
        return {"layer": self.step.name, "operator": self.step.operator, **named, **counts, **sizes}

    def impossible(self) -> Iterator[Misfit]:
        """Yield keys that no layer of the hardware level can have."""
        layer, operator = self.layer, self.step.operator
        if not self.operands_exist():
            yield "operands", rule_of("OPERANDS-RANGE"), layer.operands
        flattens = operator == "linear" or (operator == "conv2d" and self.kernel_is_one())
        if layer.flatten and operator != "none" and not flattens:
            yield "flatten", rules.FLATTEN, operator
        if layer.groups > 1 and operator != "none":
            yield from self.impossible_groups()

    def operands_exist(self) -> bool:
        """Whether the device combines so many operands."""
        count, device = self.layer.operands, self.options.device
        return count is None or 2 <= count <= (device.max_operands if device else count)

    def impossible_groups(self) -> Iterator[Misfit]:
        """Yield groups that are no convolution; a device without any says so of all."""
        groups, device = self.layer.groups, self.options.device
        if self.step.operator == "linear" or self.layer.flatten:
            rule = of_operators.DW_FLATTEN
        elif self.channels % groups or self.outputs % groups:
            rule = of_operators.GROUPS_DIV
        else:
            return
        if device and not device.has("depthwise"):
            rule = rule_of("DW-CONV1D" if self.step.operator == "conv1d" else "CONV2D-GROUPS")
        yield "groups", rule, groups

    def misfits(self) -> Iterator[Misfit]:
        """Yield keys that contradict others, the rules they break, and their values."""
        layer, operator = self.layer, self.step.operator
        if layer.operands is not None and self.operands_exist() and not self.step.eltwise:
            yield "operands", of_keys.OPERANDS_ELT, layer.operands
        if layer.pool_dilation not in (None, (1, 1)) and not self.pools:
            yield "pool_dilation", of_keys.POOLDIL_POOL, layer.pool_dilation
        yield from self.stride_misfits()
        yield from self.output_pad_misfits()
        if operator == "none":
            yield from self.passthrough_misfits()
            return
        if operator == "linear" and layer.kernel_size is not None:
            yield "kernel_size", of_operators.LINEAR_KERNEL, layer.kernel_size
        if operator == "convtranspose2d" and max(layer.dilation or (1, 1)) > 1:
            yield "dilation", of_operators.X2D_DIL, layer.dilation

    def kernel_is_one(self) -> bool:
        """Whether the kernel is a single value, which makes the layer a matrix."""
        return self.layer.kernel_size == (1, 1)

    @property
    def pools(self) -> bool:
        """Whether there is a window."""
        return self.layer.max_pool is not None or self.layer.avg_pool is not None

    def stride_misfits(self) -> Iterator[Misfit]:
        """Yield a stride that the operator does not have."""
        if self.layer.stride is None:
            return
        stride, operator = self.layer.stride[0], self.step.operator
        only = 2 if operator == "convtranspose2d" else 1
        if self.pools and stride != 1 and only == 1:
            yield "stride", of_keys.STRIDE_POOL, stride
        elif stride != only:
            yield "stride", rules.STRIDES.get(operator, of_operators.CONV2D_STRIDE), stride

    def output_pad_misfits(self) -> Iterator[Misfit]:
        """Yield an output padding that the operator does not have."""
        pad = self.layer.output_pad
        if self.step.operator == "convtranspose2d":
            if pad not in (None, 1):
                yield "output_pad", of_operators.X2D_OPAD, pad
        elif pad:
            yield "output_pad", of_operators.OPAD_OTHER, pad

    def passthrough_misfits(self) -> Iterator[Misfit]:
        """Yield keys that only layers with an operator have."""
        layer = self.layer
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
