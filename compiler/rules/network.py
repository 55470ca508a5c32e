"""Rules of the whole network and of how it is run (semantics 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import ai8x
from ai8xc.rules.catalogue import Finding, found, layer_rule, rule
from ai8xc.rules.view import LayerView, NetworkView


@rule(
    "NET-LAYERS",
    "2.1",
    level="network",
    limit="up to {d.max_layers} layers",
    cure="pools and element-wise operations in front of a convolution take no layer of their own",
)
def number_of_layers(network: NetworkView) -> Iterator[Finding]:
    """{count} layers are more than the {d.max_layers} of {device}

    Each convolution, linear layer, element-wise operation or pool that stands alone is a layer
    of the accelerator, with registers of its own. Networks that are longer must be cut in two, or
    run on the larger device.
    """
    count, limit = len(network.layers), network.device.max_layers
    if count > limit:
        moving = sum(isinstance(layer.op, ai8x.Passthrough) for layer in network.layers)
        notes = (f"{moving} of them only pool, combine or copy",) if moving else ()
        help = f"leave out {count - limit} of them"
        yield Finding(network.layers[limit], {"count": count}, notes, help=help)


@rule(
    "NET-LAYERS-HW",
    "2.1",
    level="network",
    limit="up to {d.max_layers} layers with hidden ones and repetitions",
    cure="avoid average pools directly behind element-wise layers",
)
def number_of_hardware_layers(network: NetworkView) -> Iterator[Finding]:
    """the network takes {count} layer registers, {device} has {d.max_layers}

    Numbers of layers may have gaps, repeated configuration uses every layer again, and MAX78002
    needs a hidden layer in front of an average pool that follows an element-wise layer.
    """
    if not network.layers:
        return
    highest = max(network.layers, key=lambda layer: layer.slot)
    count = network.settings.repeat * (highest.slot + 1 + network.hidden)
    if network.layers[0].slot > network.device.max_start_layer:
        return
    if count > network.device.max_layers >= len(network.layers):
        yield found(highest, count=count)


@rule("NET-QUAD0", "2.1", level="network", limit="processors 0 to 15 are used by some layer")
def first_group_in_use(network: NetworkView) -> Iterator[Finding]:
    """no layer uses a processor of the first group

    The first group of 16 processors controls the others, so it must be in use: one layer reads
    from it, or the last layer writes to it.
    """
    places = [layer.place for layer in network.layers]
    used = 0
    for place in places:
        if place is None:
            return
        used |= place.processors
    last = places[-1] if places else None
    if last is not None and not (used | last.output_processors) & 0xFFFF:
        yield found(network.layers[0])


@rule("NET-START", "2.1", level="network", limit="0 to {d.max_start_layer}")
def start_layer(network: NetworkView) -> Iterator[Finding]:
    """the network starts at layer {number}, {device} starts at most at {d.max_start_layer}

    Execution begins at the layer whose number is written to the control register; MAX78000 has
    no such field.
    """
    if network.layers and network.layers[0].slot > network.device.max_start_layer:
        yield found(network.layers[0], number=network.layers[0].slot)


@rule("NET-START-STREAM", "2.1", level="network", limit="start at layer 0 when streaming")
def start_of_streams(network: NetworkView) -> Iterator[Finding]:
    """a network that streams or reads a FIFO starts at layer 0, not at {number}

    FIFOs feed layer 0 only, and streaming layers are the first ones.
    """
    streams = network.settings.fifo or any(layer.streaming for layer in network.layers)
    if network.layers and network.layers[0].slot and streams:
        yield found(network.layers[0], number=network.layers[0].slot)


@rule("NET-SNOOP", "2.1", level="network", feature="snoop", limit="32 numbers")
def snoopers(network: NetworkView) -> Iterator[Finding]:
    """snooping with {count} values is not possible on {device}

    The two snoopers watch the memory bus and branch on values. They exist on MAX78002 and take 32
    numbers: twelve registers each, and eight expected values.
    """
    count = len(network.settings.snoop)
    wrong = count != SNOOP_VALUES or not network.device.has("snoop")
    if count and wrong:
        yield found(network.layers[0], count=count)


SNOOP_VALUES = 32
"""Values of the two snoopers: twelve registers each, and four expected results each."""


@rule("NET-LINK", "2.1", level="network", feature="link-layer")
def linked_layers(network: NetworkView) -> Iterator[Finding]:
    """{device} cannot link layers

    On MAX78002 each layer may name the next one; on MAX78000 the next number follows.
    """
    if network.settings.link_layers and not network.device.has("link-layer"):
        yield found(network.layers[0])


@rule("NET-ONESHOT", "2.1", level="network", feature="one-shot")
def one_shot(network: NetworkView) -> Iterator[Finding]:
    """{device} cannot stop after every layer

    One-shot execution, for debugging, exists on MAX78002.
    """
    if network.settings.one_shot and not network.device.has("one-shot"):
        yield found(network.layers[0])


@rule("NET-REPEAT-FIFO", "2.1", level="network", limit="one run of the layers behind a FIFO")
def repeated_fifo(network: NetworkView) -> Iterator[Finding]:
    """layers that read a FIFO cannot run {count} times in one inference

    The input is pushed once; the first layer of the second run would read memories that nothing
    was written to.
    """
    if network.settings.fifo and network.settings.repeat > 1:
        yield found(network.layers[0], count=network.settings.repeat)


@rule("NET-FIFOGO", "2.1", level="network", feature="fifo-go")
def start_before_the_first_word(network: NetworkView) -> Iterator[Finding]:
    """{device} cannot start before the first word is in the FIFO

    Only MAX78002 waits for the FIFO after its start.
    """
    if network.settings.fifo_go and not network.device.has("fifo-go"):
        yield found(network.layers[0])


@rule(
    "NET-CLOCK",
    "2.1",
    "warning",
    level="network",
    limit="up to {d.clocks.max_without_pipeline} MHz without pipeline",
)
def clock_without_pipeline(network: NetworkView) -> Iterator[Finding]:
    """the accelerator's clock is above {d.clocks.max_without_pipeline} MHz without pipeline

    Without the pipeline the data path settles in one slow cycle. Switch the pipeline on, or the
    PLL off.
    """
    device, settings = network.device, network.settings
    if device.has("pipeline") and not settings.pipeline and settings.pll and network.layers:
        yield found(network.layers[0])


@layer_rule("NET-WZERO", "2.1", "warning", limit="some weight is not 0")
def zero_weights(layer: LayerView, network: NetworkView) -> Iterator[Finding]:
    """all weights of `{layer}` are 0

    The output of such a layer does not depend on its input. A training run that diverged, or a
    wrong conversion of a checkpoint, leaves weights like that.
    """
    op = layer.weighted
    weight = op.weight if op and not op.bypass else None
    if isinstance(weight, ai8x.Constant) and not weight.value.array.any():
        yield found(layer)
