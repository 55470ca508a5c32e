"""Rules of the kernel and bias memories (semantics 2.11)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.ir.diag import Cure
from ai8xc.passes.layers.limits import lanes_of
from ai8xc.passes.placement.kernels import kernel_columns
from ai8xc.rules.catalogue import Finding, found, layer_rule, rule
from ai8xc.rules.view import LayerView, NetworkView

LISTED = 3
"""Layers that a finding names."""


@rule(
    "WMEM",
    "2.11",
    level="network",
    limit="{d.kernel_bytes} bytes of kernels, up to {d.kernel_columns} columns on a processor",
    cure="give the largest layers fewer channels, or weights of fewer bits",
)
def kernel_memory(network: NetworkView) -> Iterator[Finding]:
    """the kernels take {needed} bytes, {device} has {d.kernel_bytes}

    Each processor holds the kernels of its input channels in columns of nine bytes. What all
    layers take together is more than there is, wherever they are placed.
    """
    device = network.device
    sizes = {layer: _bytes(layer) for layer in network.layers}
    if sum(sizes.values()) > device.kernel_bytes:
        sizes = _stored_once(sizes)
    needed = sum(sizes.values())
    if needed > device.kernel_bytes:
        order = sorted(sizes, key=lambda layer: -sizes[layer])
        largest = ", ".join(f"`{layer.op.name}` {sizes[layer]}" for layer in order[:LISTED])
        first = order[0]
        cures = (
            *_narrower(first, sizes[first]),
            *_fewer(first, sizes[first], needed, device.kernel_bytes),
        )
        yield Finding(first, {"needed": needed}, (f"the largest, in bytes: {largest}",), cures)


@rule(
    "BIAS-MEM",
    "2.11",
    level="network",
    limit="{d.bias_bytes} bytes, {d.bias_bytes_per_group} in each group",
    cure="train the largest layers without bias",
)
def bias_memory(network: NetworkView) -> Iterator[Finding]:
    """the biases take {needed} bytes, {device} has {d.bias_bytes}

    Each of the four groups of processors has a bias memory; an ordinary layer's biases lie in one
    of them. Equal biases of two layers are stored once only where the layers are equal.
    """
    biased = [layer for layer in network.layers if layer.biased]
    needed = sum(layer.outputs for layer in biased)
    limit = network.device.bias_bytes
    if needed > limit and max(layer.outputs for layer in biased) <= limit:
        order = sorted(biased, key=lambda layer: -layer.outputs)
        largest = order[0]
        text = f"train `{largest.op.name}` without bias: {largest.outputs} bytes of biases less"
        cure = Cure(text, cycles=0, kernel_bytes=0, accuracy="train again: usually a little lower")
        listed = ", ".join(f"`{layer.op.name}` {layer.outputs}" for layer in order[:LISTED])
        notes = (f"the largest, in bytes: {listed}",)
        yield Finding(largest, {"needed": needed}, notes, (cure,))


@layer_rule(
    "WMEM-DW", "2.11", limit="within {d.kernel_instance_columns} columns", feature="depthwise"
)
def depthwise_kernels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the depthwise kernels of `{layer}` begin in column {start} and end in column {end}

    Kernels of a depthwise layer lie in one physical memory: columns up to a multiple of 1,024,
    or 256 in the larger part that some processors have.
    """
    start = layer.place.kernel_start if layer.place else None
    device = network.device
    if layer.groups == 1 or start is None or not device.has("depthwise"):
        return
    end = start + kernel_columns(layer.op, device) - 1
    large = start >= device.kernel_columns
    size = device.kernel_instance_columns_large if large else device.kernel_instance_columns
    base = device.kernel_columns if large else 0
    if (start - base) // size != (end - base) // size:
        yield found(layer, start=start, end=end)


def _bytes(layer: LayerView) -> int:
    lanes = lanes_of(layer.channels, layer.device)
    columns = kernel_columns(layer.op, layer.device)
    return columns * lanes * layer.device.kernel_bytes_per_column


def _stored_once(sizes: dict[LayerView, int]) -> dict[LayerView, int]:
    """Return the sizes without those of layers whose weights another layer has too."""
    seen: set[object] = set()
    kept: dict[LayerView, int] = {}
    for layer, size in sizes.items():
        weight = layer.weighted.weight if layer.weighted else None
        if isinstance(weight, ai8x.Constant) and size:
            if weight.value in seen:
                continue
            seen.add(weight.value)
        kept[layer] = size
    return kept


def _narrower(layer: LayerView, size: int) -> Iterator[Cure]:
    bits = layer.weighted.weight_bits if layer.weighted else 1
    if bits > 1:
        narrow = bits // 2
        yield Cure(
            f"{narrow}-bit weights in `{layer.op.name}` free {size // 2} bytes: "
            f"`--weight-bits {layer.op.name}={narrow}`",
            kernel_bytes=-(size // 2),
            cycles=0,
            accuracy="a little lower; training with these bits keeps most of it",
        )


def _fewer(layer: LayerView, size: int, needed: int, limit: int) -> Iterator[Cure]:
    target = layer.outputs * max(size - (needed - limit), 0) // size
    if target:
        yield Cure(
            f"give `{layer.op.name}` {target} output channels instead of {layer.outputs}",
            kernel_bytes=limit - needed,
            accuracy="train again: usually a little lower",
        )
