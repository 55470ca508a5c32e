"""Placements that the vendor's tool accepts and that cannot give the known answer."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView, has_gaps


@layer_rule(
    "BIAS-HOLES", "2.9", limit="output processors without gaps", title="biases without gaps"
)
def bias_holes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has biases, and gaps in its output processors {mask:#018x}

    Kernels are stored with the gaps of the output processors, biases without: the outputs behind
    a gap would get the bias of another one.
    """
    if layer.place is None or not layer.biased or layer.groups > 1:
        return
    mask = int(layer.place.output_processors)
    if has_gaps(mask):
        yield found(layer, mask=mask)


@layer_rule(
    "FIFO-LANES",
    "2.14",
    limit="four channels a group (CHW: one), from group 0 on without a gap",
    title="lanes of FIFOs",
)
def fifo_lanes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """channel {channel} of the FIFO data goes to processor {pushed}, `{layer}` reads it at {read}

    A word carries four channels of a pixel to the first four processors of group 0, the next word
    those to group 1 and so on; with CHW data a word carries one channel to the first processor of
    a group. Channels that are spread otherwise are never pushed.
    """
    place, device = layer.place, network.device
    if place is None or layer.order or not network.settings.fifo:
        return
    step = device.processors_per_group
    lanes = 1 if layer.op.mode.chw else device.processors_per_memory
    if any(layer.in_group(place.processors, group) >> lanes for group in range(device.groups)):
        return  # FIFO-PROC
    read = [p for p in range(device.processors) if place.processors >> p & 1]
    for channel, processor in enumerate(read):
        turn, lane = divmod(channel, lanes)
        pushed = step * turn + lane if turn < device.groups else -1
        if pushed != processor:
            where = pushed if pushed >= 0 else "none"
            yield found(layer, channel=channel, pushed=where, read=processor)
            return


@layer_rule(
    "DW-GAPS", "2.5", limit="input processors without gaps", title="depthwise layers that move data"
)
def moved_with_gaps(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` moves channels from processors {mask:#018x}, which have gaps

    A depthwise layer that writes to other processors than it reads from counts outputs from its
    first processor on, gaps included.
    """
    place = layer.place
    if place is None or layer.groups == 1 or place.processors == place.output_processors:
        return
    mask = int(place.processors)
    if has_gaps(mask):
        yield found(layer, mask=mask)


@layer_rule(
    "DW-WIDE",
    "2.5",
    limit="8-bit outputs",
    title="depthwise layers of 32 bits",
    cure="a layer of its own for the 32-bit output, or `output_width: 8`",
)
def wide_depthwise(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the depthwise layer `{layer}` has a 32-bit output, whose place in the memories is not known

    Where a depthwise layer writes results of four bytes is documented nowhere, and no program of
    the vendor's shows it.
    """
    if layer.groups > 1 and layer.wide:
        yield found(layer)
