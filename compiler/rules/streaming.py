"""Rules of streaming layers that follow from the layers alone (semantics 2.13)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule, rule
from ai8xc.rules.view import LayerView, NetworkView


@layer_rule("STREAM-FIFO", "2.13", limit="with a FIFO")
def stream_without_fifo(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the first layer `{layer}` streams without a FIFO

    A stream is pushed into a FIFO word by word while the layers run.
    """
    if layer.order == 0 and layer.streaming and not network.settings.fifo:
        yield found(layer)


@layer_rule("STREAM-ORDER", "2.13", limit="the first layers, without a gap")
def stream_order(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` streams, the layer before it does not

    Streaming layers are the first ones of a network, each fed by the one before.
    """
    before = network.before(layer)
    if layer.streaming and before is not None and not before.streaming:
        yield found(layer)


@rule("STREAM-LAYERS", "2.13", level="network", limit="up to {d.streaming.layers}")
def streaming_layers(network: NetworkView) -> Iterator[Finding]:
    """{count} streaming layers are more than the {d.streaming.layers} of {device}

    There are eight sets of streaming registers.
    """
    streaming = [layer for layer in network.layers if layer.streaming]
    limit = network.device.streaming.layers
    if len(streaming) > limit:
        yield found(streaming[limit], count=len(streaming))


@layer_rule("STREAM-1X1", "2.13", "note", limit="3x3 kernels")
def stream_of_points(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the 1x1 kernel of `{layer}` is stored as a 3x3 one

    Streams have no 1x1 kernels: the weight becomes the centre of a 3x3 kernel, with nine times
    the kernel memory.
    """
    if network.centred(layer) and not isinstance(layer.op, ai8x.Linear):
        yield found(layer)


@layer_rule(
    "STREAM-FINALPAD",
    "2.13",
    feature="stream-final-unpadded",
    cure="give the last streaming layer a padding of 1, or stream one layer more",
)
def last_stream_padding(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the last streaming layer `{layer}` has no padding, which {device} needs

    On MAX78000 the padding ends the stream.
    """
    following = network.behind(layer)
    last = layer.streaming and (following is None or not following.streaming)
    if not last or network.device.has("stream-final-unpadded") or network.centred(layer):
        return
    if min(layer.pad) == 0:
        yield found(layer)


@layer_rule("STREAM-BIAS", "2.13", "warning", feature="stream-bias")
def stream_bias(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` streams and has biases, which {device} may not add correctly

    The vendor warns of MAX78000. Results are those without the error.
    """
    if layer.streaming and layer.biased and not network.device.has("stream-bias"):
        yield found(layer)


@rule("STREAM-INVOL", "2.13", level="network", limit="below {d.streaming.invol_limit} passes")
def stream_passes(network: NetworkView) -> Iterator[Finding]:
    """the layers before `{layer}` take {count} passes, more than {device} counts in a stream

    A streaming layer knows how many passes of the layers before it run in between.
    """
    count = 0
    for layer in network.layers:
        if layer.streaming and layer.order and count >= network.device.streaming.invol_limit:
            yield found(layer, count=count)
        count += -(-layer.passes // 4) * 4 if layer.op.mode.tcalc else layer.passes


@rule("STREAM-TRAM", "2.13", level="network", limit="below {d.streaming.tram_limit} words")
def stream_rows(network: NetworkView) -> Iterator[Finding]:
    """the layers before `{layer}` keep {words} words of rows, more than {device} has

    Each streaming layer keeps the rows that its window still needs, one after the other.
    """
    words = 0
    for layer in network.layers:
        if layer.streaming and layer.order and words >= network.device.streaming.tram_limit:
            yield found(layer, words=words)
        words += row_words(layer, network) * layer.passes


def row_words(layer: LayerView, network: NetworkView) -> int:
    """Return the words of a row that a layer keeps (semantics 2.13, `tram_words`)."""
    op = layer.convolution
    columns = layer.pooled[1]
    if isinstance(op, ai8x.ConvTranspose2d):
        return int(max(0, 2 * columns + 2 * layer.pad[1] - op.kernel[1]) + 1)
    if network.centred(layer):
        return max(0, columns + 2 - 3) + 1
    if op is None:
        return 1 if layer.weighted is None else max(0, columns - 1) + 1
    return int(max(0, columns + 2 * layer.pad[1] - op.kernel[1]) + 1)
