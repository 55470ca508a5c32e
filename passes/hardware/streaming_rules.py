"""Rules of streams that need the counters of the hardware (semantics 2.13)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.streaming import StreamCounters, stream_counters
from ai8xc.rules.catalogue import Finding, found, rule
from ai8xc.rules.view import WORD, NetworkView

Counted = list[tuple[HardwareLayer, StreamCounters]]


def _counted(network: NetworkView, *, streams: bool = True) -> Counted:
    """Return the layers with counters; none before placement or where counting is refused.

    Networks that break the rules of order have no counters that mean anything.
    """
    placed = all(layer.place is not None for layer in network.layers)
    first = network.layers[0] if network.layers else None
    if first is None or not placed or not network.settings.fifo:
        return []
    pairs = zip(network.layers, network.layers[1:], strict=False)
    if any(later.streaming and not earlier.streaming for earlier, later in pairs):
        return []
    hardware = HardwareNetwork.of(network.graph, network.device)
    wanted = [x for x in hardware.sequence if x.streaming or (x is hardware.start and not streams)]
    return [(layer, stream_counters(hardware, layer)) for layer in wanted]


@rule("STREAM-START", "2.13", limit="below {d.streaming.start_limit} words")
def start_of_stream(network: NetworkView) -> Iterator[Finding]:
    """`{layer}` starts after {words} words, more than {device} counts

    The count follows from the width of the data and the windows; a narrower input or a smaller
    pool needs fewer.
    """
    for layer, counters in _counted(network, streams=False):
        if counters.start >= network.device.streaming.start_limit:
            yield found(layer.op, words=counters.start)


@rule("STREAM-D1", "2.13", limit="below {d.streaming.delta1_limit} words a column")
def step_of_columns(network: NetworkView) -> Iterator[Finding]:
    """`{layer}` waits for {words} words a column, more than {device} counts

    The count follows from the pool's stride and the operands.
    """
    for layer, counters in _counted(network):
        if counters.delta1 >= network.device.streaming.delta1_limit:
            yield found(layer.op, words=counters.delta1)


@rule("STREAM-D2", "2.13", limit="below {d.streaming.delta2_limit} words a row")
def step_of_rows(network: NetworkView) -> Iterator[Finding]:
    """`{layer}` waits for {words} words a row, more than {device} counts

    The count follows from the width of the data and the pool.
    """
    for layer, counters in _counted(network):
        if counters.delta2 >= network.device.streaming.delta2_limit:
            yield found(layer.op, words=counters.delta2)


@rule("STREAM-ROLL", "2.13", limit="below {d.streaming.rollover_limit} words")
def length_of_buffer(network: NetworkView) -> Iterator[Finding]:
    """the buffer of `{layer}` has {words} words, more than {device} counts

    A streaming layer keeps the last rows of its input in a buffer that wraps.
    """
    for layer, counters in _counted(network):
        if counters.rollover >= network.device.streaming.rollover_limit:
            yield found(layer.op, words=counters.rollover)


@rule("STREAM-INST", "2.13", limit="below {d.data_memory_bytes} bytes")
def end_of_buffer(network: NetworkView) -> Iterator[Finding]:
    """the buffer of `{layer}` ends at byte {end}, a data memory has {d.data_memory_bytes}

    The buffer begins at the layer's input offset.
    """
    for layer, counters in _counted(network):
        end = layer.place.in_offset + WORD * counters.rollover
        if end >= network.device.data_memory_bytes:
            yield found(layer.op, end=end)


@rule("STREAM-INOUT", "2.13", limit="input buffer and output apart")
def buffer_and_output(network: NetworkView) -> Iterator[Finding]:
    """the buffer of `{layer}` and its output overlap in the same memories

    Both are in use at the same time.
    """
    counted = [] if network.settings.overlap else _counted(network)
    for number, (layer, counters) in enumerate(counted):
        place, length = layer.place, WORD * counters.rollover
        if not place.processors & place.output_processors:
            continue
        reach = length
        if number == len(counted) - 1 and place.out_offset < place.in_offset:
            reach = max(length, network.by_op[layer.op].out_bytes() - 1)
        low, high = sorted((place.in_offset, place.out_offset))
        if low + (reach if low == place.out_offset else length) >= high:
            yield found(layer.op)


@rule("STREAM-BUF", "2.13", limit="buffers apart")
def overlapping_buffers(network: NetworkView) -> Iterator[Finding]:
    """the streaming buffers of `{layer}` and `{other}` overlap

    All streaming layers run at the same time, and so does the output of the last one, so their
    memory must not overlap where they share a data memory.
    """
    counted = [] if network.settings.overlap else _counted(network)
    areas = []
    for layer, counters in counted:
        start = layer.place.in_offset
        areas.append((layer.op, layer.place.processors, start, start + WORD * counters.rollover))
    if counted:
        last = counted[-1][0]
        start = last.place.out_offset
        end = start + network.by_op[last.op].out_bytes() - 1
        areas.append((last.op, last.place.output_processors, start, end))
    step = network.device.processors_per_memory
    for (one, mask, start, end), (two, other, begin, stop) in combinations(areas, 2):
        shared = _memories(mask, step) & _memories(other, step)
        if one is not two and shared and start <= stop and begin <= end:
            yield Finding(two, {"other": one.name})


@rule(
    "RDA-STREAM",
    "2.12",
    level="network",
    feature="readahead",
    limit="buffers in different parts of {d.data_subinstance_bytes} bytes",
)
def read_ahead_buffers(network: NetworkView) -> Iterator[Finding]:
    """`{layer}` reads ahead from the part of a memory where the buffer of `{other}` lies

    A streaming layer that reads ahead needs a part of the data memories for itself.
    """
    size, step = network.device.data_subinstance_bytes, network.device.processors_per_memory
    areas = [
        (layer.op, layer.place.processors, layer.place.in_offset // size)
        for layer, _ in _counted(network)
    ]
    for (one, mask, part), (two, other, place) in combinations(areas, 2):
        ahead = one.mode.readahead or two.mode.readahead
        if ahead and part == place and _memories(mask, step) & _memories(other, step):
            yield Finding(two, {"other": one.name})


def _memories(mask: int, step: int) -> set[int]:
    return {bit // step for bit in range(mask.bit_length()) if mask >> bit & 1}
