"""Rules of the data memory (semantics 2.12)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import WORD, LayerView, NetworkView


@layer_rule("OFFS-RANGE", "2.12", limit="0 to below {d.offset_limit}")
def offset_range(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has the offset {offset}, {device} takes 0 to below {d.offset_limit}

    Offsets are bytes inside each data memory, within the address space of four memories.
    """
    place = layer.place
    for offset in (place.in_offset, place.out_offset) if place else ():
        if not 0 <= offset < network.device.offset_limit:
            yield found(layer, offset=offset)


@layer_rule("OFFS-ALIGN", "2.12", limit="multiples of 4")
def offset_alignment(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has the offset {offset}, which is not a multiple of 4

    Data are written word by word; the vendor's tool drops the low bits without a word.
    """
    place = layer.place
    for offset in (place.in_offset, place.out_offset) if place else ():
        if offset % WORD:
            yield found(layer, offset=offset)


@layer_rule(
    "IN-MEM",
    "2.12",
    limit="up to {d.data_memory_bytes} bytes in each memory",
    cure="fold the input, pool earlier, or stream the first layers",
)
def input_memory(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the input of `{layer}` ends at byte {end}, a data memory has {d.data_memory_bytes}

    Every tensor that is not streamed lies whole in the memories of its processors: four bytes a
    pixel for each pass and operand, one byte a pixel for a CHW input.
    """
    end = (layer.place.in_offset if layer.place else 0) + layer.in_bytes()
    if not layer.streaming and end > network.device.data_memory_bytes:
        yield found(layer, end=end)


@layer_rule(
    "OUT-MEM",
    "2.12",
    limit="up to {d.data_memory_bytes} bytes in each memory",
    cure="pool in the same layer, give it fewer channels, or stream the first layers",
)
def output_memory(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the output of `{layer}` ends at byte {end}, a data memory has {d.data_memory_bytes}

    Four bytes a pixel and pass, four times as many for 32-bit outputs, and the words that a gap
    leaves free.
    """
    if layer.streaming and network.behind(layer) is not None:
        return
    end = (layer.place.out_offset if layer.place else 0) + layer.out_bytes()
    if end > network.device.data_memory_bytes:
        yield found(layer, end=end)


@layer_rule("RDA-DEV", "2.12", feature="readahead")
def read_ahead(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads ahead, which {device} cannot

    MAX78002 reads the next data while it computes.
    """
    if layer.op.mode.readahead and not network.device.has("readahead"):
        yield found(layer)


@layer_rule(
    "RDA-INST",
    "2.12",
    feature="readahead",
    limit="input and output in different parts of {d.data_subinstance_bytes} bytes",
)
def read_ahead_memories(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads ahead from the part of a memory that it writes to: part {part}

    A layer that reads ahead reads and writes in the same cycle, so input and output begin, and
    end, in different parts of the data memories.
    """
    place, device = layer.place, network.device
    if not layer.op.mode.readahead or place is None or not device.has("readahead"):
        return
    step = device.data_subinstance_bytes
    ends = (
        (place.in_offset, place.out_offset),
        (place.in_offset + layer.in_bytes() - 1, place.out_offset + layer.out_bytes() - 1),
    )
    for read, written in ends:
        if read // step == written // step:
            yield found(layer, part=read // step)
            return
