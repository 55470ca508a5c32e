"""Rules of layers without operator and of element-wise operations (semantics 2.8)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule
from ai8xc.rules.view import LayerView, NetworkView, lowest


@layer_rule("OPERANDS-RANGE", "2.3", limit="2 to {d.max_operands}")
def number_of_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{parts} operands are not possible, {device} combines 2 to {d.max_operands}

    Operands are read one after the other and combined before the result is clamped once.
    """
    if layer.op.parts > network.device.max_operands:
        yield found(layer, parts=layer.op.parts)


@layer_rule("PASS-MAP", "2.8", limit="the same group, side by side, in order")
def moved_channels(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` has no operator and cannot move group {group} from {source:#06x} to {target:#06x}

    Without convolution the channels of each group of 16 processors are written side by side into
    the same group, in their order.
    """
    place = layer.place
    if not isinstance(layer.op, ai8x.Passthrough) or place is None:
        return
    for group in range(network.device.groups):
        source = layer.in_group(place.processors, group)
        target = layer.in_group(place.output_processors, group)
        packed = target >> lowest(target) if target else 0
        if packed != (1 << source.bit_count()) - 1:
            yield found(layer, group=group, source=source, target=target)
            return


@layer_rule("PASS-STREAM", "2.8", feature="stream-passthrough")
def streams_without_operator(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` streams without convolution, which {device} cannot

    On MAX78002 every streaming layer is a convolution.
    """
    alone = isinstance(layer.op, ai8x.Passthrough)
    if layer.streaming and alone and not network.device.has("stream-passthrough"):
        yield found(layer)


@layer_rule("PASS-PASS", "2.8", "note", limit="one layer instead of two")
def two_without_operator(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` follows another layer without operator

    Two layers that only move or pool could often be one.
    """
    before = network.before(layer)
    pair = (layer, before)
    plain = all(isinstance(v.op, ai8x.Passthrough) and v.op.parts == 1 for v in pair if v)
    follows = before is not None and layer.op.xs == (before.op,)
    if plain and follows and before and not (before.pools or layer.pools):
        yield found(layer)


def _emulated(layer: LayerView, network: NetworkView) -> bool:
    """Whether operands of several passes need the emulation of MAX78000."""
    parts, passes = layer.op.parts, layer.passes
    limited = network.device.has("multipass-eltwise-limit")
    return limited and parts > 1 and passes > 1 and parts * passes != parts + passes


@layer_rule(
    "ELT-MP",
    "2.8",
    limit="2 operands of 2 passes, or nothing else in the layer where the device is limited",
    cure="combine the operands in a layer of its own",
)
def operands_of_passes(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{parts} operands of {passes} passes leave no room for {what} on {device}

    With more than 64 channels MAX78000 combines operands in a layer that does nothing else,
    unless there are two operands of two passes.
    """
    if not _emulated(layer, network):
        return
    pools = layer.pools or layer.pool_strides != (1, 1)
    if pools or layer.weighted:
        what = "pooling" if pools else "a convolution"
        yield found(layer, parts=layer.op.parts, passes=layer.passes, what=what)


@layer_rule("ELT-MP-ROWS", "2.8", limit="rows x passes up to {d.max_rows}")
def rows_of_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """{rows} rows in {passes} passes of {parts} operands are more than {device} counts

    Operands of several passes are combined as more rows.
    """
    rows = layer.size[0]
    if _emulated(layer, network) and rows * layer.passes > network.device.max_rows:
        yield found(layer, rows=rows, passes=layer.passes, parts=layer.op.parts)


@layer_rule(
    "ELT-BIAS",
    "2.8",
    feature="eltwise-conv-bias",
    cure="combine the operands in a layer of its own",
)
def bias_behind_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` combines operands, convolves and adds a bias, which {device} cannot do at once

    On MAX78002 a layer with several operands has no bias.
    """
    clash = layer.op.parts > 1 and layer.biased
    if clash and not network.device.has("eltwise-conv-bias"):
        yield found(layer)


@layer_rule("ELT-PROC", "2.8", limit="equal processors for all operands")
def processors_of_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the operands of `{layer}` lie on different processors

    Operands are words beside each other in the same memories.
    """
    if layer.op.parts < 2 or len(layer.op.xs) != layer.op.parts:
        return
    places = [source.place for source in network.sources(layer) if source]
    masks = {place.output_processors for place in places if place is not None}
    if len(masks) > 1:
        yield found(layer)


@layer_rule("ELT-GAP", "2.8", "warning", limit="operands - 1 words between two of an operand")
def gaps_of_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the first operand of `{layer}` is written with a gap of {gap}, not {wanted}

    Each operand leaves room for the words of the others.
    """
    sources = network.sources(layer)
    place = sources[0].place if sources and sources[0] else None
    if layer.op.parts < 2 or len(sources) < 2 or place is None:
        return
    wanted = layer.op.parts - 1
    if place.write_gap != wanted:
        yield found(layer, gap=place.write_gap, wanted=wanted)


@layer_rule("ELT-GAP-ALL", "2.8", "warning", limit="equal gaps for all operands")
def equal_gaps(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """the operands of `{layer}` are written with different gaps

    Operands lie in turn, so all leave the same room.
    """
    places = [source.place for source in network.sources(layer) if source]
    gaps = {place.write_gap for place in places if place is not None}
    if layer.op.parts > 1 and len(gaps) > 1:
        yield found(layer)


@layer_rule("ELT-READGAP", "2.8", "warning", limit="write gap divided by the operands")
def read_gap_of_operands(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads its operands with a gap of {gap}, not {wanted}

    The operands lie between each other, so the gap that each leaves is used up by the others.
    """
    sources = network.sources(layer)
    place = sources[0].place if sources and sources[0] else None
    if layer.op.parts < 2 or place is None or layer.place is None:
        return
    wanted = place.write_gap // layer.op.parts
    if layer.place.read_gap != wanted:
        yield found(layer, gap=layer.place.read_gap, wanted=wanted)
