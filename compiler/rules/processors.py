"""Rules of processor maps (semantics 2.9)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView, lanes_of, lowest


@layer_rule("PROC-COUNT", "2.9", limit="one for each channel of a pass")
def input_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has {count} processors for {channels} input channels, which take {wanted}

    Up to 64 channels take a processor each. More are read in passes of equal size, rounded up to
    a multiple of four processors.
    """
    if layer.place is None:
        return
    count, wanted = layer.place.processors.bit_count(), lanes_of(layer.channels, network.device)
    if count != wanted or layer.place.processors > layer.lane_mask:
        yield found(layer, count=count, channels=layer.channels, wanted=wanted)


@layer_rule("OPROC-COUNT", "2.9", limit="one for each channel of a pass")
def output_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has {count} processors for {channels} output channels, which take {wanted}

    Up to 64 channels take a processor each. More are written in passes of equal size, rounded up
    to a multiple of four processors.
    """
    if layer.place is None:
        return
    mask = layer.place.output_processors
    count, wanted = mask.bit_count(), lanes_of(layer.outputs, network.device)
    if count != wanted or mask > layer.lane_mask:
        yield found(layer, count=count, channels=layer.outputs, wanted=wanted)


@layer_rule("CAT-OVERLAP", "2.9", "warning", limit="the same processors, or none in common")
def overlapping_parts(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """joined tensors of `{layer}` lie on some processors in common

    Parts lie side by side on processors of their own, or in turn on the same ones.
    """
    masks = _part_masks(layer, network)
    pairs = ((a, b) for i, a in enumerate(masks) for b in masks[i + 1 :])
    if any(a & b and a != b for a, b in pairs):
        yield found(layer)


@layer_rule("CAT-ORDER", "2.9", "warning", limit="ascending processors")
def order_of_parts(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """joined tensors of `{layer}` do not lie on ascending processors

    Channels are read from the lowest processor on, so the parts must lie in their order.
    """
    masks = _part_masks(layer, network)
    pairs = list(itertools.pairwise(masks))
    falls = any(lowest(b) < lowest(a) or b.bit_length() < a.bit_length() for a, b in pairs)
    if falls and not any(a & b for a, b in pairs):
        yield found(layer)


def _part_masks(layer: LayerView, network: NetworkView) -> list[int]:
    """Return the processors of tensors that are joined along the channels in one pass."""
    op = layer.op
    if len(op.xs) < 2 or op.gather != "channels" or op.parts > 1 or layer.passes > 1:
        return []
    places = [source.place for source in network.sources(layer) if source]
    return [place.output_processors for place in places if place and not place.write_gap]


@layer_rule("IN-PROC-MISS", "2.9", "warning", limit="processors that a layer before writes")
def unwritten_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads from processors that no layer before it writes: {mask:#018x}

    Data lie in the memories of the processors that the layer before names as its outputs.
    """
    sources = network.sources(layer)
    if layer.place is None or None in sources:
        return
    written = 0
    for source in sources:
        if source is None or source.place is None:
            return
        written |= source.place.output_processors
    missing = layer.place.processors & ~written
    if missing:
        yield found(layer, mask=missing)


@layer_rule("IN-PROC-OR", "2.9", "warning", limit="the processors that the layers before write")
def unread_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` does not read all processors that the layers before it write: {mask:#018x}

    Channels that are written are usually read.
    """
    places = [source.place if source else None for source in network.sources(layer)]
    if layer.place is None or None in places:
        return
    written = 0
    for place in places:
        written |= place.output_processors if place else 0
    unread = written & ~layer.place.processors
    if unread:
        yield found(layer, mask=unread)


@layer_rule("PROC-UNALIGNED-Q", "2.9", "warning", limit="a multiple of four")
def narrow_weights(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has {bits}-bit weights and writes from processor {first} on

    Kernels for outputs that do not start at a multiple of four are shifted; the vendor has not
    tried this with weights narrower than 8 bits.
    """
    op, place = layer.weighted, layer.place
    if op is None or place is None or op.bypass or not place.output_processors:
        return
    first = lowest(place.output_processors)
    if first % network.device.processors_per_memory and op.weight_bits < 8:
        yield found(layer, bits=op.weight_bits, first=first)


@layer_rule("PROC-GAPS", "2.9", limit="evenly spread processors in a group")
def uneven_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` writes to unevenly spread processors of group {group}

    Such a map needs a mode of the hardware that the vendor marks as untested, and that no
    program of the vendor's uses.
    """
    place = layer.place
    if place is None or isinstance(layer.op, ai8x.Passthrough):
        return
    for group in range(network.device.groups):
        mask = layer.in_group(place.output_processors, group)
        used = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
        steps = {b - a for a, b in itertools.pairwise(used)}
        if len(steps) > 1:
            yield found(layer, group=group)
            return
