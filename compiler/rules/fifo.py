"""Rules of the input FIFOs (semantics 2.14)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView


def _fed(layer: LayerView, network: NetworkView) -> bool:
    return layer.order == 0 and network.settings.fifo


@layer_rule(
    "FIFO-CHAN", "2.14", limit="{d.fifo.channels_hwc} in HWC, {d.fifo.channels_chw} in CHW format"
)
def fifo_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{channels} channels are more than the {limit} that the FIFOs of {device} carry

    Four FIFOs carry a word each: four channels of one pixel (HWC) or four pixels of one (CHW).
    """
    fifo = network.device.fifo
    limit = fifo.channels_chw if layer.op.mode.chw else fifo.channels_hwc
    if _fed(layer, network) and not network.settings.fast_fifo and layer.channels > limit:
        yield found(layer, channels=layer.channels, limit=limit)


@layer_rule("FIFO-PROC", "2.14", limit="the first four processors of each group, CHW: the first")
def fifo_processors(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads FIFO data from processors that no FIFO feeds: {mask:#018x}

    Each FIFO feeds the first four processors of one group, or the first with CHW data.
    """
    if not _fed(layer, network) or layer.place is None:
        return
    device = network.device
    own = 1 if layer.op.mode.chw else (1 << device.processors_per_memory) - 1
    fed = sum(own << device.processors_per_group * group for group in range(device.groups))
    missed = layer.place.processors & ~fed
    if missed:
        yield found(layer, mask=missed)


@layer_rule("FIFO-ELT", "2.14", limit="one operand")
def fifo_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` splits FIFO data into {parts} operands

    Words of a FIFO go to the processors as they come.
    """
    if _fed(layer, network) and layer.op.parts > 1:
        yield found(layer, parts=layer.op.parts)


@layer_rule("STREAM-FRAME", "2.13", limit="below {d.fifo.frame_limit} words")
def fifo_frame(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the input has {words} words, more than {device} counts

    A register holds the number of words that a FIFO carries for one inference.
    """
    rows, columns = layer.size
    words = -(-rows * columns // 4) if layer.op.mode.chw else rows * columns
    if _fed(layer, network) and words >= network.device.fifo.frame_limit:
        yield found(layer, words=words)


@layer_rule(
    "FFIFO-CHAN",
    "2.14",
    limit="{d.fifo.fast_channels_hwc} in HWC, {d.fifo.fast_channels_chw} in CHW format",
)
def fast_fifo_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{channels} channels are more than the {limit} that the fast FIFO of {device} carries

    The fast FIFO carries one word: four channels of one pixel (HWC) or four pixels of one (CHW).
    """
    fifo = network.device.fifo
    limit = fifo.fast_channels_chw if layer.op.mode.chw else fifo.fast_channels_hwc
    if _fed(layer, network) and network.settings.fast_fifo and layer.channels > limit:
        yield found(layer, channels=layer.channels, limit=limit)


@layer_rule("FFIFO-WIDTH", "2.14", limit="8 bits")
def fast_fifo_width(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads the fast FIFO and gives 32 bits

    The first layer behind the fast FIFO has an 8-bit output.
    """
    if _fed(layer, network) and network.settings.fast_fifo and layer.wide:
        yield found(layer)


@layer_rule("FFIFO-OP", "2.14", limit="a convolution")
def fast_fifo_operator(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads the fast FIFO without a convolution

    The first layer behind the fast FIFO is a convolution.
    """
    alone = isinstance(layer.op, ai8x.Passthrough)
    if _fed(layer, network) and network.settings.fast_fifo and alone:
        yield found(layer)
