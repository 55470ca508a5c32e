"""Rules of the network's input (semantics 2.2)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView


@layer_rule("INP-POOL", "2.2", "note", limit="smaller inputs are better than pooled ones")
def pooled_input(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the first layer `{layer}` pools the network's input

    The input is loaded whole and then reduced. Scaling it down where it is taken costs less time
    and memory.
    """
    if layer.order == 0 and layer.pools:
        yield found(layer)


@layer_rule("INP-CHW-SHARE", "2.2", limit="one processor of each {d.processors_per_memory}")
def chw_memories(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """two channels of a CHW input share a data memory: processors {processors}

    In CHW format a channel lies in a memory of its own, four pixels a word; the four processors
    that share a memory cannot hold two of them. Use one processor of each aligned four.
    """
    place = layer.place
    if not layer.op.mode.chw or place is None:
        return
    step = network.device.processors_per_memory
    for memory in range(network.device.memories):
        own = place.processors >> memory * step & (1 << step) - 1
        if own.bit_count() > 1:
            shared = [memory * step + bit for bit in range(step) if own >> bit & 1]
            yield found(layer, processors=" and ".join(map(str, shared)))


@layer_rule("INP-CHW-FIRST", "2.2", limit="first layer only")
def chw_layer(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads CHW data but is not the first layer

    Every layer writes HWC data: four channels a word. Only the network's input may be CHW.
    """
    if layer.op.mode.chw and layer.order:
        yield found(layer)


@layer_rule("INP-CHW-PASS", "2.2", limit="up to {d.processors} channels")
def chw_passes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a CHW input of {channels} channels takes more than one pass

    The loader stores CHW data for one pass of channels.
    """
    if layer.op.mode.chw and layer.passes > 1:
        yield found(layer, channels=layer.channels)


@layer_rule("INP-CHW-ELT", "2.2", limit="one operand")
def chw_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a CHW input cannot be split into {parts} operands

    Operands lie word by word beside each other, which words of four pixels cannot.
    """
    if layer.op.mode.chw and layer.op.parts > 1:
        yield found(layer, parts=layer.op.parts)


@layer_rule("INP-CROP", "2.2", limit="no rows left out of CHW or FIFO data")
def cropped_input(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` leaves out {rows} rows of an input that {how}

    Rows at the top lie in front of where a layer begins to read, which is a matter of whole words
    in a memory: a FIFO carries all rows, and a word of CHW data is four pixels.
    """
    how = "comes through a FIFO" if network.settings.fifo else "is CHW"
    rows = sum(layer.op.crop)
    if layer.order == 0 and rows and (network.settings.fifo or layer.op.mode.chw):
        yield found(layer, rows=rows, how=how)
