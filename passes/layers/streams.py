"""Which layers can stream, and a graph whose first layers do.

A streaming layer starts before its input is complete; only a rolling buffer of it lies in data
memory. The first layer is fed by a FIFO, each other one by the layer before. Source: register
description, sections 4.2 and 6.1; rules STREAM and FIFO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Data, Graph, Mask, Op, make_graph
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.streaming import StreamCounters, input_words, stream_counters
from ai8xc.passes.laws.weights import holds_zero
from ai8xc.passes.layers.limits import lanes_of

WINDOW = (3, 3)
"""The kernel of a streaming convolution, and of the one that reads the last of them."""


def streamed(graph: Graph, depth: int) -> Graph:
    """Return the graph with its first `depth` layers streaming, fed by the FIFO.

    1x1 kernels in a stream, or right behind it, become the middle of 3x3 ones.
    """
    if not depth:
        return graph
    new: dict[Op, Op] = {}
    made: list[Op] = []
    number = -1
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(op, ai8x.Layer):
            number += 1
        if isinstance(current, ai8x.Layer) and number <= depth:
            current = _in_stream(current, number < depth, made)
        new[op] = current
        made.append(current)
    outputs = [new[op] for op in graph.outputs]
    changed = make_graph(graph.name, graph.level, made, outputs, graph.attributes)
    if Settings.of(graph).fifo:
        return changed
    return changed.having(input_mode="fifo")


def _in_stream(layer: ai8x.Layer, streams: bool, made: list[Op]) -> ai8x.Layer:
    if isinstance(layer, ai8x.Conv2d) and layer.kernel == (1, 1) and layer.pad == (0, 0):
        layer = _centred(layer, made)
    return replace(layer, mode=replace(layer.mode, streaming=True)) if streams else layer


def _centred(layer: ai8x.Conv2d, made: list[Op]) -> ai8x.Conv2d:
    weight = layer.weight
    assert isinstance(weight, ai8x.Constant)
    element = holds_zero(weight.element)
    array = np.pad(weight.value.array, ((0, 0), (0, 0), (1, 1), (1, 1)))
    wider = replace(weight, value=Data(array), element=element)
    made.append(wider)
    shift = layer.output_shift + (element != weight.element)
    return replace(layer, weight=wider, pad=(1, 1), output_shift=shift)


def obstacle(graph: Graph, depth: int, device: Device) -> str:
    """Return why the first `depth` layers of a graph, or more, cannot stream, or nothing."""
    layers = ai8x.layers(graph.ops)
    if depth > min(device.streaming.layers, len(layers)):
        return f"{min(device.streaming.layers, len(layers))} layers are all that can stream"
    for number, layer in enumerate(layers[:depth]):
        why = _first(graph, layer, device) if number == 0 else _later(graph, layers, number)
        why = why or _unfit(layer)
        if why:
            return f"`{layer.name}` cannot stream: {why}"
    return next(_exceeded(streamed(graph, depth), device), "")


def cannot_end(graph: Graph, depth: int, device: Device) -> str:
    """Return why the layer with this number cannot be the last one to stream, or nothing."""
    last = ai8x.layers(graph.ops)[depth - 1]
    if device.has("stream-final-unpadded") or min(_kernel_of(last)[1]):
        return ""
    return f"`{last.name}` cannot be the last streaming layer: it has no padding"


def _kernel_of(layer: ai8x.Layer) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return kernel and padding of a convolution as it streams."""
    assert isinstance(layer, ai8x.Conv2d)
    centred = layer.kernel == (1, 1) and layer.pad == (0, 0)
    return (WINDOW, (1, 1)) if centred else (layer.kernel, layer.pad)


def _unfit(layer: ai8x.Layer) -> str:
    if not isinstance(layer, ai8x.Conv2d):
        return "only 2-D convolutions stream"
    if layer.parts > 1 or layer.view or layer.gather == "pixels" or layer.crop != (0, 0):
        return "it combines or cuts its input"
    if _kernel_of(layer)[0] != WINDOW or layer.bypass or layer.wide:
        return "it has no 3x3 kernel or writes 32 bits"
    return ""


def _first(graph: Graph, layer: ai8x.Layer, device: Device) -> str:
    fast = Settings.of(graph).fast_fifo
    limit = device.fifo.fast_channels_hwc if fast else device.fifo.channels_hwc
    source = layer.xs[0]
    if len(graph.inputs) != 1 or layer.xs != graph.inputs or graph.uses[source] != 1:
        return "it is not the only reader of the input"
    if source.type.shape[1] > limit:
        return f"the FIFO carries {limit} channels, the input has {source.type.shape[1]}"
    if isinstance(layer, ai8x.Conv2d) and layer.groups > 1:
        return "it is depthwise, and the input is not moved by the FIFO"
    return ""


def _later(graph: Graph, layers: list[ai8x.Layer], number: int) -> str:
    before = layers[number - 1]
    if layers[number].xs != (before,):
        return f"its input is not that of `{before.name}` alone"
    if graph.uses[before] != 1 or before in graph.outputs:
        return f"`{before.name}` is also read later"
    return ""


def counters(graph: Graph, device: Device) -> Mapping[Op, StreamCounters]:
    """Return the counters of each streaming layer; processors need not be known yet."""
    network = HardwareNetwork.of(_with_processors(graph, device), device)
    pairs = zip(ai8x.layers(graph.ops), network.sequence, strict=True)
    return {op: stream_counters(network, layer) for op, layer in pairs if layer.streaming}


def _with_processors(graph: Graph, device: Device) -> Graph:
    """Return the graph with as many processors in each layer as it will have."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(op, ai8x.Layer) and isinstance(current, ai8x.Layer) and op.place is None:
            sizes = (op.in_shape[0], op.type.shape[1])
            source, target = (Mask((1 << lanes_of(size, device)) - 1) for size in sizes)
            current = replace(current, place=ai8x.Place(source, target))
        new[op] = current
    outputs = tuple(new[op] for op in graph.outputs)
    return replace(graph, ops=tuple(new[op] for op in graph.ops), outputs=outputs)


def _exceeded(graph: Graph, device: Device) -> Iterator[str]:
    """Yield the counters that the device does not have."""
    limits = device.streaming
    network = HardwareNetwork.of(_with_processors(graph, device), device)
    if input_words(network.start) >= device.fifo.frame_limit:
        yield f"the input has {input_words(network.start)} words"
    columns = 0
    for layer in network.sequence:
        if not layer.streaming:
            break
        found = stream_counters(network, layer)
        numbers = (
            ("start", found.start, limits.start_limit),
            ("step along a row", found.delta1, limits.delta1_limit),
            ("step between rows", found.delta2, limits.delta2_limit),
            ("buffer", found.rollover, limits.rollover_limit),
            ("passes before it", found.passes_before, limits.invol_limit),
            ("row buffers before it", columns, limits.tram_limit),
        )
        for what, number, limit in numbers:
            if number >= limit:
                yield f"`{layer.op.name}` cannot stream: {what} {number}, the limit is {limit - 1}"
        columns += layer.row_buffer * layer.passes
