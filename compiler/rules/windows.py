"""Rules of convolutions, transposed convolutions and linear layers (semantics 2.5 and 2.6)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import WORD, LayerView, NetworkView, lowest


def shown(pair: tuple[int, int]) -> str:
    """Return rows and columns as text."""
    return f"{pair[0]}x{pair[1]}"


@layer_rule(
    "CONV2D-KERNEL",
    "2.5",
    limit="{kernels}",
    cure="two 3x3 layers see 5x5, three see 7x7; a smaller kernel is filled up with zeros",
)
def kernel_2d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a 2-D kernel of {kernel} is not supported on {device}

    The 2-D data path reads one pixel or a window of 3x3 a cycle.
    """
    if isinstance(layer.op, ai8x.Conv2d) and layer.kernel not in network.device.kernel_sizes_2d:
        yield found(layer, kernel=shown(layer.kernel))


@layer_rule("CONV2D-PAD", "2.5", limit="0 to {d.max_pad}")
def padding_2d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """padding {pad} is more than the {d.max_pad} of {device}

    Zeros are put around the data by a counter of two bits.
    """
    if isinstance(layer.op, ai8x.Conv2d) and max(layer.pad) > network.device.max_pad:
        yield found(layer, pad=shown(layer.pad))


@layer_rule("PAD-KERNEL", "2.5", limit="less than the kernel")
def padding_below_kernel(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """padding {pad} is not smaller than the kernel of {kernel}

    A window that sees nothing but padding computes nothing but the bias. A 1x1 kernel has no
    padding.
    """
    if not isinstance(layer.op, ai8x.Conv2d | ai8x.Conv1d):
        return
    pairs = list(zip(layer.pad, layer.kernel, strict=True))
    limit = network.device.max_pad
    if any(0 < pad <= limit and pad >= kernel for pad, kernel in pairs):
        yield found(layer, pad=shown(layer.pad), kernel=shown(layer.kernel))


@layer_rule("CONV2D-DIL", "2.5", limit="1", cure="train with dilation 1, or pool in front")
def dilation_2d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """dilation {dilation} of a 2-D kernel is not supported on {device}

    The vendor's guide promises dilations of 1 to 16 on MAX78002, but its tool rejects them on
    both devices, and no register is known to do it.
    """
    if isinstance(layer.op, ai8x.Conv2d) and layer.op.dilation != (1, 1):
        yield found(layer, dilation=shown(layer.op.dilation))


@layer_rule(
    "CONV2D-GROUPS",
    "2.5",
    feature="depthwise",
    limit="1, or one for each channel",
    cure="one group with zeros for the other weights computes the same",
)
def groups_2d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{groups} groups on {channels} channels with {outputs} outputs are not supported on {device}

    MAX78002 computes depthwise convolutions: as many groups as input and output channels.
    Elsewhere groups are a full convolution whose other weights are zero, with more kernel memory.
    """
    if isinstance(layer.op, ai8x.Conv1d) or layer.groups == 1:
        return
    if not _depthwise(layer, network):
        yield found(layer, groups=layer.groups, channels=layer.channels, outputs=layer.outputs)


def _depthwise(layer: LayerView, network: NetworkView) -> bool:
    square = layer.groups == layer.channels == layer.outputs
    return square and network.device.has("depthwise")


@layer_rule("DW-BIASGRP", "2.5", limit="no wish for a group")
def depthwise_bias_group(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the biases of the depthwise layer `{layer}` cannot lie in a group of choice

    Each group computes its own channels, so the biases lie in every group of the layer.
    """
    place = layer.place
    wish = place is not None and place.bias_group is not None and place.bias_start is None
    if layer.groups > 1 and layer.biased and wish:
        yield found(layer)


@layer_rule("DW-OUT4", "2.5", limit="outputs from a multiple of four processors on")
def depthwise_outputs(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the depthwise layer `{layer}` writes from processor {first} on

    Depthwise layers write whole words of four processors.
    """
    place = layer.place
    if layer.groups > 1 and place is not None and place.output_processors:
        first = lowest(place.output_processors)
        if first % network.device.processors_per_memory:
            yield found(layer, first=first)


@layer_rule("DW-IN4", "2.5", limit="inputs from a multiple of four on, or within one group")
def depthwise_inputs(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the depthwise layer `{layer}` reads from processor {first} on, over more than one group

    Its channels are moved to the start of their group, which they must not leave.
    """
    place = layer.place
    if layer.groups == 1 or place is None or not place.processors:
        return
    first = lowest(place.processors)
    beyond = place.processors >> first >> network.device.processors_per_group
    if first % network.device.processors_per_memory and beyond:
        yield found(layer, first=first)


@layer_rule("DW-MOVE", "2.5", "note", limit="equal maps are faster")
def depthwise_moves(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the depthwise layer `{layer}` writes to other processors than it reads from

    It works, but takes a time slot for each channel instead of one for four.
    """
    place = layer.place
    if layer.groups > 1 and place and place.processors != place.output_processors:
        yield found(layer)


@layer_rule("X2D-KERNEL", "2.5", limit="{transposed}")
def transposed_kernel(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a transposed kernel of {kernel} is not supported on {device}

    Transposed convolutions spread the data by two and read 3x3 windows.
    """
    known = network.device.kernel_sizes_transposed
    if isinstance(layer.op, ai8x.ConvTranspose2d) and layer.kernel not in known:
        yield found(layer, kernel=shown(layer.kernel))


@layer_rule("X2D-PAD", "2.5", limit="0 to {d.max_pad}")
def transposed_padding(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """padding {pad} of a transposed convolution is more than the {d.max_pad} of {device}

    The hardware pads the spread data by 2 - padding zeros.
    """
    if isinstance(layer.op, ai8x.ConvTranspose2d) and max(layer.op.pad) > network.device.max_pad:
        yield found(layer, pad=shown(layer.op.pad))


@layer_rule("BYPASS", "2.5", feature="bypass")
def kernel_bypass(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{device} cannot bypass the kernels of `{layer}`

    A layer whose weights are all 1 needs no kernel memory on MAX78002.
    """
    if layer.weighted and layer.weighted.bypass and not network.device.has("bypass"):
        yield found(layer)


@layer_rule("FLAT-POOL", "2.5", limit="no pooling window", cure="pool in a layer of its own")
def flatten_pool(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` flattens and pools at once

    The flattening counter walks over the data of the input as it is.
    """
    if layer.flattens and layer.pools:
        yield found(layer)


@layer_rule("FLAT-STREAM", "2.5", limit="not in streams")
def flatten_stream(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` flattens a stream

    Flattening needs the whole input.
    """
    if layer.flattens and layer.streaming:
        yield found(layer)


@layer_rule(
    "FLAT-HW",
    "2.5",
    limit="up to {d.max_flatten_pixels} pixels",
    cure="pool in front of the matrix",
)
def flatten_pixels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a matrix on {rows}x{columns} pixels is more than the {d.max_flatten_pixels} of {device}

    A flattening layer counts up to 256 pixels of each channel.
    """
    rows, columns = layer.pooled
    if layer.flattens and rows * columns > network.device.max_flatten_pixels:
        yield found(layer, rows=rows, columns=columns)


@layer_rule(
    "FLAT-SIZE",
    "2.5",
    limit="up to {d.max_flatten_inputs} values",
    cure="pool in front of the matrix, or give the layer before fewer channels",
)
def flatten_values(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a matrix on {values} values is more than the {d.max_flatten_inputs} of {device}

    Source of this limit is the vendor's guide.
    """
    rows, columns = layer.pooled
    values = layer.channels * rows * columns
    if layer.flattens and values > network.device.max_flatten_inputs:
        yield found(layer, values=values)


@layer_rule("FLAT-1", "2.5", "warning", limit="more than one pixel")
def flatten_one(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` flattens data of one pixel

    Such a layer is an ordinary linear layer.
    """
    if layer.flattens and layer.pooled == (1, 1):
        yield found(layer)


@layer_rule(
    "CONV1D-KERNEL",
    "2.6",
    limit="1 to {d.max_kernel_1d}",
    cure="two layers of 9 see 17 values; pooling in front widens what a kernel sees",
)
def kernel_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a 1-D kernel of {length} is more than the {d.max_kernel_1d} of {device}

    The nine bytes of a kernel column hold one kernel of up to nine values.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.kernel[0] > network.device.max_kernel_1d:
        yield found(layer, length=layer.kernel[0])


@layer_rule("CONV1D-PAD", "2.6", limit="0 to {d.max_pad}")
def padding_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """padding {pad} of a 1-D convolution is more than the {d.max_pad} of {device}

    The vendor's guide names a default of 3, which the hardware does not have.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.pad[0] > network.device.max_pad:
        yield found(layer, pad=layer.pad[0])


@layer_rule(
    "CONV1D-MPPAD",
    "2.6",
    feature="conv1d-multipass-pad",
    cure="a 3x3 layer on one column computes a padded kernel of 3",
)
def padded_passes_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a padded 1-D convolution on {channels} channels is not supported on {device}

    With more than 64 channels, MAX78002 cannot pad a 1-D convolution.
    """
    if not isinstance(layer.op, ai8x.Conv1d) or network.device.has("conv1d-multipass-pad"):
        return
    if layer.pad[0] and layer.passes > 1:
        yield found(layer, channels=layer.channels)


@layer_rule("CONV1D-ELT", "2.6", limit="one operand", cure="combine in a layer of its own")
def operands_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` combines {parts} operands in front of a 1-D convolution

    Only 2-D layers combine operands on the way in.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.op.parts > 1:
        yield found(layer, parts=layer.op.parts)


@layer_rule("CONV1D-WIDTH", "2.6", limit="one column")
def columns_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a 1-D convolution reads {columns} columns

    A sequence lies in the rows of data with one column.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.size[1] != 1:
        yield found(layer, columns=layer.size[1])


@layer_rule("DIL1D-K1", "2.6", limit="1 for kernels of one value")
def dilation_of_one(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """dilation {dilation} of a kernel of one value

    There is no second value that could be further away.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.kernel[0] == 1 and layer.dilation > 1:
        yield found(layer, dilation=layer.dilation)


@layer_rule(
    "DIL1D-LARGE",
    "2.6",
    limit="up to {d.max_kernel_1d_on_2d} values, without padding, pooling, operands or streaming",
)
def wide_dilation(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """dilation {dilation} of a kernel of {length} is not possible {why}

    A kernel that spans up to nine values is stretched with zeros. A wider one runs on the 2-D
    engine, on data cut into rows: two or three values, nothing else in the layer.
    """
    if not layer.wide_dilation:
        return
    reasons = {
        f"with more than {network.device.max_kernel_1d_on_2d} values": layer.kernel[0]
        > network.device.max_kernel_1d_on_2d,
        "with padding": layer.pad[0] > 0,
        "with pooling": layer.pools or layer.pool_strides[0] > 1,
        "with several operands": layer.op.parts > 1,
        "with kernel bypass": layer.weighted is not None and layer.weighted.bypass,
        "with readahead": layer.op.mode.readahead,
        "in a stream": layer.streaming,
    }
    for why, broken in reasons.items():
        if broken:
            yield found(layer, dilation=layer.dilation, length=layer.kernel[0], why=why)


@layer_rule("DIL1D-MAX", "2.6", limit="up to {d.max_dilation_1d}")
def largest_dilation(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """dilation {dilation} is more than the {d.max_dilation_1d} of {device}

    The rows that the data are cut into are as long as the dilation, and padded.
    """
    if layer.dilation > network.device.max_dilation_1d:
        yield found(layer, dilation=layer.dilation)


@layer_rule("DIL1D-OFFS", "2.6", limit="at least 4 x dilation x output passes")
def dilated_output(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` writes {needed} bytes in front of its output, which starts at byte {offset}

    A kernel of three values with a wide dilation computes results before the first one.
    """
    place = layer.place
    if not layer.wide_dilation or layer.kernel[0] < 3 or place is None:
        return
    needed = WORD * layer.dilation * layer.out_passes
    if place.out_offset < needed:
        yield found(layer, needed=needed, offset=place.out_offset)


@layer_rule(
    "DW-CONV1D",
    "2.6",
    feature="depthwise",
    limit="1, or one for each channel",
    cure="one group with zeros for the other weights computes the same",
)
def groups_1d(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{groups} groups of a 1-D convolution on {channels} channels are not supported on {device}

    MAX78002 computes depthwise convolutions: as many groups as input and output channels.
    """
    if isinstance(layer.op, ai8x.Conv1d) and layer.groups > 1 and not _depthwise(layer, network):
        yield found(layer, groups=layer.groups, channels=layer.channels)
