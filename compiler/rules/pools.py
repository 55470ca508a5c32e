"""Rules of pooling (semantics 2.7)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView
from ai8xc.rules.windows import shown


@layer_rule("POOL-SIZE", "2.7", limit="1 to {d.max_pool} values from end to end")
def pool_window(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a pool of {pool} is more than the {d.max_pool} of {device}

    Windows have up to 16 rows and columns, with their dilation. Larger ones are pooled in steps;
    an average is then cut off twice.
    """
    spans = zip(layer.pool, layer.pool_dilations, strict=True)
    if any((p - 1) * d >= network.device.max_pool for p, d in spans):
        yield found(layer, pool=shown(layer.pool))


@layer_rule("POOL-STRIDE", "2.7", limit="1 to {d.max_pool_stride}")
def pool_stride(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a pool stride of {strides} is more than the {d.max_pool_stride} of {device}

    Windows move by up to 16.
    """
    if max(layer.pool_strides) > network.device.max_pool_stride:
        yield found(layer, strides=shown(layer.pool_strides))


@layer_rule("POOL-STRIDE-SQ", "2.7", limit="equal for rows and columns")
def square_pool_stride(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """pool strides of {strides} differ

    One register holds the stride of both axes.
    """
    if not layer.single and len(set(layer.pool_strides)) > 1:
        yield found(layer, strides=shown(layer.pool_strides))


@layer_rule("POOL-DIL", "2.7", limit="1 to {d.max_pool_dilation}")
def pool_dilation(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a pool dilation of {dilation} is not supported on {device}

    Dilated windows exist on MAX78002 only.
    """
    if max(layer.pool_dilations) > network.device.max_pool_dilation:
        yield found(layer, dilation=shown(layer.pool_dilations))


@layer_rule("POOL-DIL-GEOM", "2.7", limit="windows of two values, or sizes that agree")
def pool_dilation_geometry(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a dilated pool of {pool} gives {count} values where only {wanted} windows exist

    The counters of the hardware count windows as if a dilated one of p values were p + dilation - 1
    values wide, which is right for p = 2. For other windows the size must come out the same.
    """
    axes = zip(layer.size, layer.pool, layer.pool_strides, layer.pool_dilations, strict=True)
    for size, p, t, d in axes:
        count, wanted = (size + t - p - d + 1) // t, (size - d * (p - 1) - 1) // t + 1
        if d > 1 and count != wanted:
            yield found(layer, pool=shown(layer.pool), count=count, wanted=wanted)


@layer_rule(
    "POOL-MP-PASS",
    "2.7",
    limit="up to {d.max_pool_passes} passes, more for a result of one pixel",
    cure="a 1x1 convolution with identity weights in the same layer makes it possible",
)
def pooled_passes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """a pool of {channels} channels needs a convolution in the same layer

    Layers without operator pool one pass of channels on MAX78000, unless one pixel comes out.
    """
    alone = isinstance(layer.op, ai8x.Passthrough) and layer.pools and layer.pooled != (1, 1)
    if alone and layer.passes > network.device.max_pool_passes:
        yield found(layer, channels=layer.channels)


@layer_rule("POOL-LAST-ELT", "2.7", limit="up to {d.max_operands_pool_last} operands")
def pooling_of_results(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{parts} operands are combined before they are pooled

    Pooling behind the element-wise operation works with two operands.
    """
    parts = layer.op.parts
    too_many = parts > network.device.max_operands_pool_last
    if layer.pools and not layer.op.pool_first and too_many:
        yield found(layer, parts=parts)


@layer_rule("POOL-FIRST-USE", "2.7", limit="only with a window and several operands")
def order_of_pooling(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` pools last but has {what}

    The order is about pooling and combining operands, so a layer needs both to have one.
    """
    if not layer.op.pool_first and not (layer.pools and layer.op.parts > 1):
        yield found(layer, what="one operand" if layer.pools else "no pooling window")


@layer_rule(
    "POOL-CONVT",
    "2.7",
    limit="windows that step by {d.max_pool_stride_transposed} at most",
    cure="a layer of its own for the pool",
)
def pooling_before_spreading(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the pool of `{layer}` steps by {step} in front of a transposed convolution

    On MAX78000 the registers of a transposed convolution have no field for the step of a pool:
    programs for different steps are the same, so that they cannot both be right. MAX78002 counts
    the pixels behind the spreading, which is exact for steps of 2.
    """
    step, most = max(layer.pool_strides), network.device.max_pool_stride_transposed
    if isinstance(layer.op, ai8x.ConvTranspose2d) and step > most:
        yield found(layer, step=step)
