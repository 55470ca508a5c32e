"""A placed network as a description and a checkpoint that the vendor's tool takes.

Source: hardware semantics, sections 3.2 to 3.7. Kernels and biases are not placed by the
description: both tools do that by the same rules.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

import numpy as np

from ai8xc.backends.ai8x.check_description import Wishes
from ai8xc.backends.ai8x.setting_options import FLAGS, NUMBERS
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings, UnloadEntry
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.ir.types import Array
from ai8xc.passes.check_placement import overwrites

ALLOCATE: Final = "allocate-kernels,check-placement,check-description,allocate-biases"
"""The passes that place kernels where the vendor's tool places them."""

Value = int | str | tuple[int, ...]


def vendor_files(
    graph: Graph, device: Device, sample: Array | None, wishes: Wishes
) -> dict[str, bytes]:
    """Return the description, the checkpoint and the sample (1 x C x H x W) by file name."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", graph.name) or "network"
    files = {
        f"{name}.yaml": description(graph, device, name, wishes).encode(),
        f"{name}.pth.tar": checkpoint(parameters(graph), name),
    }
    if sample is not None:
        stored = io.BytesIO()
        np.save(stored, sample[0].astype(np.int64))
        files[f"sample_{name.lower()}.npy"] = stored.getvalue()
    return files


def description(graph: Graph, device: Device, name: str, wishes: Wishes) -> str:
    """Return the YAML text of a placed graph of level ai8x; its head names the options."""
    lines = ["---", *_head(graph, device), f"arch: {name}", f"dataset: {name}"]
    settings = Settings.of(graph)
    if settings.snoop:
        lines.append(f"snoop: [{', '.join(map(str, settings.snoop))}]")
    unload = settings.unload or _reordered(graph)
    if unload:
        lines += ["unload:", *map(_unload, unload)]
    lines += ["", "layers:"]
    layers = ai8x.layers(graph.ops)
    numbers = {layer: _number(layer, order) for order, layer in enumerate(layers)}
    for order in range(len(layers)):
        keys = dict(_keys(graph, layers, order, numbers))
        group = wishes.bias_groups.get(layers[order].name)
        if group is not None:
            keys["bias_group"] = group
        for at, (key, value) in enumerate(keys.items()):
            lines.append(f"  {'-' if at == 0 else ' '} {key}: {_written(value)}")
    return "\n".join(lines) + "\n"


def _head(graph: Graph, device: Device) -> Iterator[str]:
    """Yield comments: what the command line must say besides the files."""
    options = ["--device", device.name.upper(), *_options(Settings.of(graph))]
    if "--overlap-data" not in options and overwrites(graph, device):
        options.append("--overlap-data")
    yield f"# Options: {' '.join(options)}"
    fold = graph.get("fold")
    if isinstance(fold, tuple):
        yield f"# Input: folded by {'x'.join(map(str, fold))}, as in the sample"


def _options(settings: Settings) -> Iterator[str]:
    """Yield the words of a command line that ask for settings which differ from their defaults.

    Layers that are left out, and names in C, belong to the network that is compiled.
    """
    values, usual = asdict(settings), asdict(Settings())
    changed = {field: value for field, value in values.items() if value != usual[field]}
    told: set[str] = set()
    for option, field, value in FLAGS:
        if field in changed and changed[field] == value and field not in told:
            told.add(field)
            yield option
    for option, field in (*NUMBERS, ("--timer", "timer"), ("--boost", "boost")):
        if field in changed:
            yield f"{option} {changed[field]}"


def _reordered(graph: Graph) -> tuple[UnloadEntry, ...]:
    """Return the outputs in the order of the model, where it is not that of the layers."""
    order = {layer: number for number, layer in enumerate(ai8x.layers(graph.ops))}
    outputs = [op for op in graph.outputs if isinstance(op, ai8x.Layer)]
    numbers = [_number(op, order[op]) for op in outputs]
    return tuple(_entry(op) for op in outputs) if numbers != sorted(numbers) else ()


def _entry(layer: ai8x.Layer) -> UnloadEntry:
    place = _place(layer)
    _, channels, rows, columns = layer.type.shape
    bits = 32 if layer.type.element == "i32" else 8
    what = (place.output_processors, channels, rows, columns)
    return (*what, place.out_offset, place.write_gap, bits)


def _unload(entry: UnloadEntry) -> str:
    processors, channels, rows, columns, offset, gap, bits = entry
    values = f"processors: 0x{int(processors):016x}, channels: {channels}, dim: [{rows}, {columns}]"
    return f"  - {{{values}, offset: 0x{offset:x}, width: {bits}, write_gap: {gap}}}"


def _number(layer: ai8x.Layer, order: int) -> int:
    place = layer.place
    return order if place is None or place.slot is None else place.slot


def _written(value: Value) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _keys(
    graph: Graph, layers: list[ai8x.Layer], order: int, numbers: Mapping[ai8x.Layer, int]
) -> Iterator[tuple[str, Value]]:
    """Yield the keys of a layer and their values."""
    layer = layers[order]
    yield from _sequencing(graph, layers, order, numbers)
    yield from _placing(layer)
    yield from _reading(layer, layers[order - 1] if order else None, numbers)
    yield from _pooling(layer)
    yield from _operator(layer)


def _sequencing(
    graph: Graph, layers: list[ai8x.Layer], order: int, numbers: Mapping[ai8x.Layer, int]
) -> Iterator[tuple[str, Value]]:
    layer, number = layers[order], numbers[layers[order]]
    yield "sequence", number
    last = order + 1 == len(layers)
    following = "stop" if last else numbers[layers[order + 1]]
    if following not in (number + 1, "stop") or (last and number != max(numbers.values())):
        yield "next_sequence", following
    if layer.mode.on_hit is not None:
        yield "snoop_sequence", layer.mode.on_hit
    if layer.mode.simulated is not None:
        target = layer.mode.simulated
        yield "simulated_sequence", "stop" if target < 0 else target
    if tuple(graph.outputs) != (layers[-1],) and layer in graph.outputs:
        yield "output", "true"


def _place(layer: ai8x.Layer) -> ai8x.Place:
    if layer.place is None:
        raise LookupError(f"layer `{layer.name}` is not placed")
    return layer.place


def _placing(layer: ai8x.Layer) -> Iterator[tuple[str, Value]]:
    place, mode = _place(layer), layer.mode
    yield "processors", f"0x{int(place.processors):016x}"
    yield "output_processors", f"0x{int(place.output_processors):016x}"
    yield "in_offset", f"0x{place.in_offset:x}"
    yield "out_offset", f"0x{place.out_offset:x}"
    for key, gap in (("read_gap", place.read_gap), ("write_gap", place.write_gap)):
        if gap:
            yield key, gap
    flags = {"streaming": mode.streaming, "readahead": mode.readahead, "calcx4": mode.calcx4}
    for key, on in flags.items():
        if on:
            yield key, "true"
    if mode.readahead or mode.tcalc:
        yield "tcalc", str(mode.tcalc).lower()
    if mode.chw:
        yield "data_format", "chw"


def _reading(
    layer: ai8x.Layer, before: ai8x.Layer | None, numbers: Mapping[ai8x.Layer, int]
) -> Iterator[tuple[str, Value]]:
    """Yield where the data come from and which shape they have."""
    channels, rows, columns = layer.in_shape
    given: tuple[Op, ...] = layer.xs
    plain = len(given) == 1 and (given[0] is before or (before is None))
    if not plain:
        yield "in_sequences", tuple(_source(x, numbers) for x in given)
    if any(layer.crop):
        yield "in_crop", layer.crop
    if before is None or layer.view or any(layer.crop):
        yield "in_dim", (rows, columns) if columns > 1 else rows
    flattens = isinstance(layer, ai8x.Linear) and layer.flatten
    if layer.view or flattens:
        pixels = layer.pooled_shape[1] * layer.pooled_shape[2] if flattens else 1
        yield "in_channels", channels * pixels


def _source(x: Op, numbers: Mapping[ai8x.Layer, int]) -> int:
    if isinstance(x, Input) or not isinstance(x, ai8x.Layer):
        return -1
    return numbers[x]


def _pooling(layer: ai8x.Layer) -> Iterator[tuple[str, Value]]:
    pool = layer.pool
    if pool is None:
        return
    single = isinstance(layer, ai8x.Conv1d)

    def pair(values: tuple[int, ...]) -> Value:
        return values[0] if single else tuple(values)

    if pool.kernel != (1, 1):
        yield "avg_pool" if pool.average else "max_pool", pair(pool.kernel)
    yield "pool_stride", pair(pool.strides)
    if pool.dilations:
        yield "pool_dilation", pair(pool.dilations)
    if not layer.pool_first:
        yield "pool_first", "false"


def _operator(layer: ai8x.Layer) -> Iterator[tuple[str, Value]]:
    kinds = {
        "ai8x.passthrough": "none",
        "ai8x.conv2d": "conv2d",
        "ai8x.conv1d": "conv1d",
        "ai8x.conv_transpose2d": "convtranspose2d",
        "ai8x.linear": "linear",
    }
    yield "op", kinds[layer.opcode]
    if layer.eltwise != "none":
        yield "eltwise", layer.eltwise
        if layer.parts != 2:
            yield "operands", layer.parts
    if isinstance(layer, ai8x.Weighted):
        yield from _window(layer)
        yield from _scaling(layer)


def _window(layer: ai8x.Weighted) -> Iterator[tuple[str, Value]]:
    if isinstance(layer, ai8x.Linear):
        if layer.flatten:
            yield "flatten", "true"
        return
    assert isinstance(layer, ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d)
    rows, columns = layer.kernel
    yield "kernel_size", rows if isinstance(layer, ai8x.Conv1d) else f"{rows}x{columns}"
    yield "pad", layer.pad[0]
    if isinstance(layer, ai8x.ConvTranspose2d):
        yield "output_pad", 1
    if layer.groups > 1:
        yield "groups", layer.groups
    if not isinstance(layer, ai8x.ConvTranspose2d) and max(layer.dilation) > 1:
        yield "dilation", layer.dilation[0]
    if layer.bypass:
        yield "bypass", "true"
        yield "in_channels", layer.in_shape[0]
        yield "out_channels", layer.type.shape[1]


def _scaling(layer: ai8x.Weighted) -> Iterator[tuple[str, Value]]:
    if not layer.bypass:
        binary = layer.weight.type.element == "bin"
        yield "quantization", "binary" if binary else layer.weight_bits
    yield "output_shift", layer.output_shift
    yield "activate", layer.activation
    if layer.wide:
        yield "output_width", 32


def parameters(graph: Graph) -> dict[str, Array]:
    """Return the entries of the checkpoint, in the order of the layers' numbers."""
    found: dict[str, Array] = {}
    layers = ai8x.layers(graph.ops)
    numbered = sorted((_number(layer, order), layer) for order, layer in enumerate(layers))
    for number, layer in numbered:
        if not isinstance(layer, ai8x.Weighted) or layer.bypass:
            continue
        name, bits = f"layer{number}", layer.weight_bits
        found[f"{name}.output_shift"] = np.array([layer.output_shift], np.float32)
        found[f"{name}.weight_bits"] = np.array([bits], np.float32)
        found[f"{name}.op.weight"] = _framework(layer).astype(np.float32)
        if isinstance(layer.bias, ai8x.Constant):
            values = layer.bias.value.array.astype(np.float32) * 2 ** (bits - 1)
            found[f"{name}.op.bias"] = values
    return found


def _framework(layer: ai8x.Weighted) -> Array:
    """Return the weights as a framework has them."""
    assert isinstance(layer.weight, ai8x.Constant)
    array = layer.weight.value.array
    if not isinstance(layer, ai8x.ConvTranspose2d):
        return array
    outputs, inputs = array.shape[0] // layer.groups, array.shape[1] * layer.groups
    return array.reshape(outputs, inputs, 3, 3).swapaxes(0, 1)[:, :, ::-1, ::-1]


def checkpoint(state: Mapping[str, Array], arch: str) -> bytes:
    """Return a checkpoint file: what `torch.save` writes for a `state_dict` of float tensors."""
    entries = b"".join(
        _text(name) + _tensor(index, array.shape)
        for index, (name, array) in enumerate(state.items())
    )
    ordered = b"ccollections\nOrderedDict\n)R(" + entries + b"u"
    items = _text("epoch") + b"K\x00" + _text("arch") + _text(arch)
    content = b"\x80\x02}(" + items + _text("state_dict") + ordered + b"u."
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        files = {"data.pkl": content, "byteorder": b"little"}
        for index, array in enumerate(state.values()):
            files[f"data/{index}"] = np.ascontiguousarray(array, "<f4").tobytes()
        files["version"] = b"3\n"
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"checkpoint/{name}"), data)
    return stored.getvalue()


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + len(encoded).to_bytes(4, "little") + encoded


def _integer(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def _tensor(index: int, shape: tuple[int, ...]) -> bytes:
    """Return the pickle of a dense tensor; its storage is the member of this index."""
    count = int(np.prod(shape))
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(index))
    storage += _text("cpu") + _integer(count) + b"tQ"
    sizes, steps = (b"(" + b"".join(map(_integer, values)) + b"t" for values in (shape, strides))
    rest = b"K\x00" + sizes + steps + b"\x89" + b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"
