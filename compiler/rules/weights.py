"""Rules of weights, shifts and biases (semantics 2.11)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.ir.types import INTEGER_RANGE
from ai8xc.rules.catalogue import Finding, found, layer_rule, rule
from ai8xc.rules.view import LayerView, NetworkView


@layer_rule("SHIFT-RANGE", "2.11", limit="{d.min_shift} to {d.max_shift}")
def total_shift(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """output shift {shift} with {bits}-bit weights is a total shift of {total}

    The output shift and the 8 - n bits of an n-bit weight are one field of the hardware: four
    bits and a direction.
    """
    op = layer.weighted
    if op is None:
        return
    if not network.device.min_shift <= op.shift <= network.device.max_shift:
        yield found(layer, shift=op.output_shift, bits=op.weight_bits, total=op.shift)


@layer_rule("QUANT-FIT", "2.11", limit="values of the weights' width")
def weight_values(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has a weight of {value}, which {element} cannot hold

    Weights of n bits are integers from -2^(n-1) to 2^(n-1) - 1.
    """
    weight = layer.weighted.weight if layer.weighted else None
    if not isinstance(weight, ai8x.Constant) or weight.element == "bin":
        return
    array = weight.value.array
    low, high = INTEGER_RANGE[weight.element]
    beyond = array[(array < low) | (array > high)]
    if beyond.size:
        yield found(layer, value=int(beyond[0]), element=weight.element)


@layer_rule("QUANT-BINARY", "2.11", feature="binary-weights")
def binary_weights(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has binary weights, which {device} cannot

    MAX78002 has weights of -1 and +1 besides those of one bit, which are -1 and 0.
    """
    if _element(layer) == "bin" and not network.device.has("binary-weights"):
        yield found(layer)


@rule("QUANT-MIX", "2.11", level="network", limit="one kind of 1-bit weights")
def mixed_binary(network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has {kind} weights, `{other}` has {other_kind} ones

    One bit of the whole network says what 1-bit weights mean.
    """
    kinds = {"bin": "binary", "i1": "1-bit"}
    used = [layer for layer in network.layers if _element(layer) in kinds]
    first = used[0] if used else None
    for layer in used:
        if first is not None and _element(layer) != _element(first):
            values = {"kind": kinds[_element(layer)], "other": first.op.name}
            yield Finding(layer, values | {"other_kind": kinds[_element(first)]})
            return


@layer_rule("QUANT-BINVAL", "2.11", limit="-1 and +1")
def binary_values(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has a binary weight of {value}

    Binary weights are -1 or +1.
    """
    weight = layer.weighted.weight if layer.weighted else None
    if isinstance(weight, ai8x.Constant) and weight.element == "bin":
        beyond = weight.value.array[abs(weight.value.array) != 1]
        if beyond.size:
            yield found(layer, value=int(beyond[0]))


def _element(layer: LayerView) -> str:
    op = layer.weighted
    return op.weight.type.element if op and not op.bypass else ""


@layer_rule("BIAS-ZERO", "2.11", "warning", limit="some bias is not 0")
def zero_biases(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """all biases of `{layer}` are 0 and left out

    They take no bias memory.
    """
    if layer.weighted and layer.weighted.bias is not None and not layer.biased:
        yield found(layer)


@layer_rule("BIAS-GROUP", "2.11", limit="a group that the network uses")
def bias_group(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the biases of `{layer}` are wanted in group {group}, which no layer uses

    Groups that no layer reads from are switched off. A group is in use when a layer reads from
    it, or the last layer writes to it.
    """
    place = layer.place
    if place is None or place.bias_group is None or not layer.biased:
        return
    used = 0
    for other in network.layers:
        used |= other.place.processors if other.place else 0
    last = network.layers[-1].place
    used |= last.output_processors if last else 0
    if not layer.in_group(used, place.bias_group):
        yield found(layer, group=place.bias_group)


@layer_rule("CALCX4", "2.11", feature="calcx4", limit="a multiple of 4 outputs")
def four_at_once(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` computes four of its {outputs} outputs at once, which {device} cannot

    MAX78002 takes the kernels of four outputs from four instances, so their number is a multiple
    of four.
    """
    if not layer.op.mode.calcx4:
        return
    if layer.outputs % 4 or not network.device.has("calcx4"):
        yield found(layer, outputs=layer.outputs)


@layer_rule("QUAD-M", "2.11", limit="a multiple of 32 / bits outputs for weights below 8 bits")
def quad_outputs(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{outputs} outputs of {bits}-bit weights cannot be dealt out to the four groups

    The quad mode of the fast FIFO computes every fourth output in each group, and a byte holds
    the weights of several outputs.
    """
    op = layer.weighted
    if layer.order or op is None or not network.settings.quad or op.weight_bits == 8:
        return
    if layer.outputs % (32 // op.weight_bits):
        yield found(layer, outputs=layer.outputs, bits=op.weight_bits)
