"""Rules of channels, rows and columns (semantics 2.4)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView, lowest


@layer_rule(
    "CHAN-IN",
    "2.4",
    limit="up to {d.max_channels} channels, in passes of {d.processors}",
    cure="give the layer before fewer output channels",
)
def input_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{count} input channels are more than the {d.max_channels} of {device}

    A layer reads its channels in up to 16 passes over the 64 processors.
    """
    if layer.channels > network.device.max_channels:
        yield found(layer, count=layer.channels)


@layer_rule(
    "CHAN-OUT",
    "2.4",
    limit="up to {d.max_channels} channels",
    cure="compute them in two layers of half the channels each",
)
def output_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{count} output channels are more than the {d.max_channels} of {device}

    A layer writes its channels in up to 16 passes over the 64 processors.
    """
    if layer.outputs > network.device.max_channels:
        yield found(layer, count=layer.outputs)


@layer_rule("CHAN-PASS16", "2.4", limit="up to {d.max_passes} passes")
def input_passes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{count} channels of one operand take {passes} passes, the counter ends at {d.max_passes}

    Every 64 channels are a pass over all processors; four bits count them.
    """
    limit = network.device.max_passes
    if layer.passes > limit and layer.channels <= network.device.max_channels:
        yield found(layer, count=layer.channels, passes=layer.passes)


@layer_rule(
    "CHAN-BIAS",
    "2.4",
    limit="up to {d.bias_bytes_per_group} outputs with bias",
    cure="leave the bias out, or compute the outputs in two layers",
)
def biased_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the biases of {count} output channels do not fit into one group of {device}

    All biases of an ordinary layer lie in the bias memory of one of the four groups. Outputs that
    do not start at a multiple of four processors need bytes in front.
    """
    if not layer.biased or layer.groups > 1 or network.settings.quad:
        return
    skipped = lowest(layer.place.output_processors) % 4 if layer.place else 0
    if layer.outputs + skipped * layer.out_passes > network.device.bias_bytes_per_group:
        yield found(layer, count=layer.outputs)


@layer_rule("CHAN-4", "2.4", "note", limit="multiples of {d.processors_per_memory} use all of it")
def channels_of_four(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` writes {count} channels, which leaves a part of each word unused

    Four channels share a word of data memory. A number of channels that is a multiple of four
    takes no more memory and time than the next smaller numbers.
    """
    hidden = bool(network.readers(layer))
    if hidden and layer.outputs % network.device.processors_per_memory:
        yield found(layer, count=layer.outputs)


def _counted(layer: LayerView, device_stride: int) -> tuple[int, int]:
    """Return rows and columns as the input counters see them."""
    rows, columns = layer.size
    if isinstance(layer.op, ai8x.ConvTranspose2d):
        return device_stride * rows, device_stride * columns
    return rows, columns


@layer_rule(
    "DIM-MAX",
    "2.4",
    limit="up to {d.max_rows} rows and {d.max_columns} columns",
    cure="fold the input: every n-th row and column becomes a channel of its own; or pool earlier",
)
def rows_and_columns(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{rows} rows and {columns} columns are more than {device} counts

    Rows and columns of input and output are counted by registers of limited width. The vendor's
    guide names one less than what the registers hold.
    """
    device = network.device
    for rows, columns in (layer.size, layer.out_size):
        if rows > device.max_rows or columns > device.max_columns:
            yield found(layer, rows=rows, columns=columns)
            return


@layer_rule("DIM-PADDED", "2.4", limit="up to {d.max_padded} rows and columns with padding")
def padded_rows_and_columns(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{rows} rows and {columns} columns with padding are more than {device} counts

    The counters of MAX78000 include the padding, and for a transposed convolution the zeros
    between the values.
    """
    device = network.device
    if device.max_padded is None:
        return
    sizes = _counted(layer, device.transposed_stride)
    rows, columns = (size + 2 * pad for size, pad in zip(sizes, layer.pad, strict=True))
    if layer.wide_dilation:
        rows, columns = -(-layer.size[0] // layer.dilation) + 2, layer.dilation + 2
    too_large = max(layer.size) > device.max_rows or layer.dilation > device.max_dilation_1d
    if max(rows, columns) > device.max_padded and not too_large:
        yield found(layer, rows=rows, columns=columns)


@layer_rule("DIM-CNT", "2.4", limit="windows start below {d.position_limit}")
def last_window(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the last window starts at {position}, {device} counts below {d.position_limit}

    The counters of MAX78002 hold the position of the last pooling window of a row and a column.
    """
    limit = network.device.position_limit
    if limit is None:
        return
    sizes = _counted(layer, network.device.transposed_stride)
    windows = zip(sizes, layer.pool, layer.pool_strides, layer.pool_dilations, strict=True)
    last = max((size - p - d + 1) // t * t for size, p, t, d in windows)
    if last >= limit and max(layer.size) <= network.device.max_columns:
        yield found(layer, position=last)


@layer_rule("DIM-FRAME", "2.4", limit="rows x columns x passes below {d.frame_limit}")
def frame(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{rows}x{columns} values in {passes} passes are more than the frame counter holds

    Rows times columns times passes of the input stay below the limit.
    """
    rows, columns = layer.size
    if rows * columns * layer.passes >= network.device.frame_limit:
        yield found(layer, rows=rows, columns=columns, passes=layer.passes)


@layer_rule(
    "IN-CAT-4",
    "2.4",
    limit="parts start at a multiple of {d.processors_per_memory} processors",
    cure="give all parts but the last a multiple of four channels",
)
def joined_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a part of what `{layer}` joins starts at processor {first}, inside of a word

    Joined tensors lie side by side in words of four channels. A part that does not fill its last
    word leaves processors unused, and the next part starts with the next word.
    """
    op = layer.op
    if len(op.xs) < 2 or op.gather != "channels" or op.parts > 1:
        return
    for source in network.sources(layer)[1:]:
        place = source.place if source else None
        first = lowest(place.output_processors) if place else 0
        if first % network.device.processors_per_memory:
            yield found(layer, first=first)
