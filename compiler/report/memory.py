"""Which tensor, kernel or bias lies where, as plain data.

Layouts are those of the memory description, sections 1 to 3; addresses are bytes within a memory,
columns are the physical ones of nine bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ai8xc.dialects import ai8x
from ai8xc.ir.core import Input, Op
from ai8xc.passes.hardware.biases import bias_bytes, spread_bias_bytes, spread_biases
from ai8xc.passes.hardware.kernel_memory import stored_columns
from ai8xc.passes.hardware.layer import HardwareLayer, bits
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.layers.streams import counters

Json = dict[str, object]


@dataclass(frozen=True)
class Extent:
    """Bytes `start` up to `end` in each memory that a mask of processors touches.

    Of `step` words only one belongs to the tensor: others may lie between.
    """

    processors: int
    start: int
    end: int
    step: int = 1

    def memories(self, share: int) -> list[int]:
        """Return the data memories, each of `share` processors."""
        return sorted({processor // share for processor in bits(self.processors)})


def data_memory(network: HardwareNetwork) -> Json:
    """Return every tensor with its bytes and the steps (layers) from its writer to its last use.

    Step `n` is the run of layer `n`; the input is there from step 0 on, an output to the end.
    """
    device = network.device
    share, size = device.processors_per_memory, device.data_memory_bytes
    tensors = [
        {
            "name": op.name,
            "kind": kind,
            "memories": extent.memories(share),
            "start": max(extent.start, 0),
            "end": min(extent.end, size),
            "word_step": extent.step,
            "first": first,
            "last": last,
        }
        for op, kind, extent, first, last in _tensors(network)
    ]
    return {
        "memories": device.memories,
        "bytes": size,
        "steps": [layer.op.name for layer in network.sequence],
        "tensors": tensors,
        "peak": [_peak(tensors, step) for step in range(len(network.sequence))],
    }


def _peak(tensors: Sequence[Mapping[str, object]], step: int) -> int:
    """Return the first byte behind all tensors that are there at a step."""
    ends = [t["end"] for t in tensors if _at(t, step)]
    return max((end for end in ends if isinstance(end, int)), default=0)


def _at(tensor: Mapping[str, object], step: int) -> bool:
    first, last = tensor["first"], tensor["last"]
    return isinstance(first, int) and isinstance(last, int) and first <= step <= last


def _tensors(network: HardwareNetwork) -> Iterator[tuple[Op, str, Extent, int, int]]:
    """Yield op, kind ("input", "output", "stream", "tensor"), place, first and last step."""
    graph, sequence = network.graph, network.sequence
    end = len(sequence) - 1
    buffers = {op: found.rollover for op, found in counters(graph, network.device).items()}
    last: dict[Op, int] = {}
    for step, layer in enumerate(sequence):
        last.update(dict.fromkeys(layer.op.xs, step))
    last.update(dict.fromkeys(graph.outputs, end))
    for step, layer in enumerate(sequence):
        if layer.op in buffers:  # words of the rolling buffer that the layer reads
            start = layer.place.in_offset
            extent = Extent(layer.processors, start, start + 4 * (buffers[layer.op] + 1))
            yield layer.op.xs[0], "stream", extent, 0, step
    streamed = {x for op in buffers for x in op.operands}
    for step, layer in enumerate(sequence):
        for number, x in enumerate(layer.op.xs):
            if isinstance(x, Input) and x not in streamed and step == _first_reader(network, x):
                yield x, "input", _input(layer, number), 0, last[x]
    for step, layer in enumerate(sequence):
        if layer.op not in streamed:
            kind = "output" if layer.op in graph.outputs else "tensor"
            yield layer.op, kind, _output(layer), step, last.get(layer.op, step)


def _first_reader(network: HardwareNetwork, x: Input) -> int:
    return next(step for step, layer in enumerate(network.sequence) if x in layer.op.xs)


def _input(layer: HardwareLayer, number: int) -> Extent:
    """Return where an input of the network is loaded for its first reader."""
    op, place = layer.op, layer.place
    rows, columns = op.xs[number].type.shape[2:]
    start = place.in_offset
    if op.mode.chw:
        return Extent(layer.processors, start, start + -(-rows * columns // 4) * 4)
    step = op.parts * (place.read_gap + 1)
    words = rows * columns * layer.passes * step
    return Extent(layer.processors, start, start + 4 * words, step)


def _output(layer: HardwareLayer) -> Extent:
    _, rows, columns = layer.out_shape
    place, width = layer.place, 4 if layer.wide else 1
    words = rows * columns * layer.out_passes * (place.write_gap + 1) * width
    words -= place.write_gap * width  # nothing is written behind the last word
    start = place.out_offset - layer.ignored_bytes
    end = place.out_offset + 4 * words
    return Extent(layer.output_processors, start, end, place.write_gap + 1)


def kernel_memory(network: HardwareNetwork) -> Json:
    """Return the columns that each layer fills, processors with the same ones together."""
    device = network.device
    capacity = [device.kernel_columns_of(p) for p in range(device.processors)]
    used = [0] * device.processors
    layers = []
    for layer in network.sequence:
        if not layer.stores_kernels:
            continue
        found = _column_runs(layer)
        for processor, runs in found.items():
            used[processor] += sum(end - start for start, end in runs)
        layers.append({"layer": layer.op.name, "blocks": _blocks(found)})
    return {
        "processors": device.processors,
        "columns": capacity,
        "column_bytes": device.kernel_bytes_per_column,
        "layers": layers,
        "used": used,
    }


Runs = tuple[tuple[int, int], ...]


def _column_runs(layer: HardwareLayer) -> dict[int, Runs]:
    """Return the columns of each processor as (start, end) in ascending order."""
    taken: dict[int, set[int]] = {}
    for column in stored_columns(layer, layer.place.kernel_start or 0):
        taken.setdefault(column.processor, set()).update(column.columns.tolist())
    return {processor: _runs(sorted(columns)) for processor, columns in sorted(taken.items())}


def _runs(numbers: Sequence[int]) -> Runs:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return tuple(found)


def _blocks(found: Mapping[int, Runs]) -> list[Json]:
    blocks: list[Json] = []
    start = None
    previous: tuple[int, Runs] | None = None
    for processor, runs in [*found.items(), (-1, ())]:
        if previous and start is not None and (processor, runs) != (previous[0] + 1, previous[1]):
            columns = [list(run) for run in previous[1]]
            blocks.append({"processors": [start, previous[0] + 1], "columns": columns})
            start = None
        start = processor if start is None else start
        previous = (processor, runs)
    return blocks


def bias_memory(network: HardwareNetwork) -> Json:
    """Return the bytes of each layer's biases in the groups."""
    device = network.device
    blocks = [
        {"layer": layer.op.name, "group": group, "start": start, "end": start + length}
        for layer in network.sequence
        for group, start, length in _biases(layer)
    ]
    used = [
        len({byte for b in blocks if b["group"] == g for byte in range(b["start"], b["end"])})  # type: ignore[call-overload] # numbers by construction
        for g in range(device.groups)
    ]
    size = device.bias_bytes_per_group
    return {"groups": device.groups, "bytes": size, "blocks": blocks, "used": used}


def _biases(layer: HardwareLayer) -> Iterator[tuple[int, int, int]]:
    """Yield group, start and length in bytes."""
    if layer.bias is None:
        return
    place = layer.place
    if spread_biases(layer):
        for group, data in spread_bias_bytes(layer).items():
            start = place.bias_starts[group] if group < len(place.bias_starts) else None
            if start is not None:
                yield group, start, len(data)
    elif place.bias_group is not None and place.bias_start is not None:
        yield place.bias_group, place.bias_start, len(bias_bytes(layer))


def layer_constants(op: ai8x.Layer) -> int:
    """Return the bytes of a layer's weights as they are stored, without gaps."""
    if not isinstance(op, ai8x.Weighted) or op.bypass:
        return 0
    return -(-op.weight.type.size * op.weight_bits // 8)
