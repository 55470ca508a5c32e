"""Rules of the order of layers, of gaps and of 32-bit outputs (semantics 2.10)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView


@layer_rule("SEQ-NEXT", "2.10", feature="link-layer")
def next_layer(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` is followed by layer {next}, not by layer {wanted}, which {device} cannot

    On MAX78000 layers run in the order of their numbers.
    """
    following = network.behind(layer)
    if following is None or network.device.has("link-layer"):
        return
    if following.slot != layer.slot + 1:
        yield found(layer, next=following.slot, wanted=layer.slot + 1)


@layer_rule("SEQ-STREAM", "2.10", limit="the next number")
def next_streaming_layer(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the streaming layer `{layer}` is followed by layer {next}, not by layer {wanted}

    Streaming layers run at the same time, so each feeds the one with the next number.
    """
    following = network.behind(layer)
    if layer.streaming and following is not None and following.slot != layer.slot + 1:
        yield found(layer, next=following.slot, wanted=layer.slot + 1)


@layer_rule("RGAP-DEV", "2.10", feature="read-gap")
def read_gap(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads with a gap of {gap}, which {device} cannot

    MAX78002 skips words between the pixels that it reads.
    """
    if layer.place and layer.place.read_gap and not network.device.has("read-gap"):
        yield found(layer, gap=layer.place.read_gap)


@layer_rule("RGAP-MP", "2.10", limit="up to {d.processors} channels")
def read_gap_of_passes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads {channels} channels with a gap

    A gap cannot be combined with several passes.
    """
    if layer.place and layer.place.read_gap and layer.passes > 1:
        yield found(layer, channels=layer.channels)


@layer_rule("RGAP-FLAT", "2.10", limit="one pixel")
def read_gap_of_matrices(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` flattens {rows}x{columns} pixels that have gaps between them

    A flattening layer takes the pixels as passes, which follow each other word by word.
    """
    rows, columns = layer.pooled
    if layer.place and layer.place.read_gap and layer.flattens and rows * columns > 1:
        yield found(layer, rows=rows, columns=columns)


@layer_rule("RGAP-MATCH", "2.10", "warning", limit="the gap that was written")
def read_gap_of_one(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads with a gap of {gap} what was written with a gap of {written}

    A single tensor is read as it was written.
    """
    sources = network.sources(layer)
    place = sources[0].place if len(sources) == 1 and sources[0] else None
    if place is None or layer.place is None or layer.op.parts > 1:
        return
    gap = layer.place.read_gap
    if gap != place.write_gap and network.device.has("read-gap"):
        yield found(layer, gap=gap, written=place.write_gap)


@layer_rule("WGAP-MAX", "2.10", limit="passes x (gap + 1) below {d.write_step_limit}")
def write_gap(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` writes with a gap of {gap} in {passes} passes, more than the pointer steps

    The step of the write pointer is a field of limited width.
    """
    if layer.place is None:
        return
    gap = layer.place.write_gap
    passes = 1 if isinstance(layer.op, ai8x.Passthrough) else layer.out_passes
    if passes * (gap + 1) >= network.device.write_step_limit:
        yield found(layer, gap=gap, passes=layer.out_passes)


@layer_rule("OUTWIDTH-MID", "2.10", limit="8 bits between layers")
def wide_between_layers(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the 32-bit output of `{layer}` is read by another layer

    Layers read 8-bit values; 32-bit outputs are for the processor's core.
    """
    if layer.wide and network.readers(layer):
        yield found(layer)


@layer_rule("OUTWIDTH-ACT", "2.10", limit="no activation")
def wide_activation(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` gives 32 bits and has the activation {activation}

    The activation works on the scaled 8-bit result, which a 32-bit output leaves out.
    """
    op = layer.weighted
    if op is not None and op.wide and op.activation != "none":
        yield found(layer, activation=op.activation)
