"""The rule of the kernel memory as a whole (semantics 2.11): what no placement can change."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.ir.diag import Cure
from ai8xc.passes.layers.limits import lanes_of
from ai8xc.passes.placement.kernels import kernel_columns
from ai8xc.rules.catalogue import Finding, rule
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
            accuracy="to be retrained",
        )
