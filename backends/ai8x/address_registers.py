"""Layer registers that say which data a layer reads and where it writes: counters and pointers.

One small function a register. Source: register description, sections 4.6 to 4.8, which name every
symbol; the comments repeat only what the names do not say.
"""

from __future__ import annotations

import itertools

from ai8xc.backends.ai8x.layer_context import Fields, LayerContext
from ai8xc.passes.hardware.layer import HardwareLayer, bits, first_bit


def next_layer(c: LayerContext) -> Fields:
    """NXTLYR: where the run goes on, where that is not the next number."""
    layer, network = c.layer, c.network
    if network.settings.link_layers:
        if layer is network.final:
            return {"stop": 1}
        return {"jump": 1, "target": layer.slot + 1}
    following = network.following.get(layer)
    if following is None:
        return {"stop": int(layer is not network.by_slot[-1])}
    if following.slot != layer.slot + 1:
        return {"jump": 1, "target": following.number}
    on_hit = layer.op.mode.on_hit
    if on_hit is None:
        return {}
    numbers = {other.slot: other.number for other in network.sequence}
    return {"jump": 1, "target": numbers[on_hit]}


def _input_size(c: LayerContext) -> tuple[int, int]:
    """Rows and columns as the counters see them."""
    layer = c.layer
    if layer.flatten:
        return layer.pool
    if layer.operator == "transposed":
        step = c.device.transposed_stride
        return step * layer.rows, step * layer.columns
    if layer.emulated_operands and not layer.convolves:
        return layer.rows * layer.passes, layer.columns
    return layer.rows, layer.columns


def _last_window(size: int, axis: int, layer: HardwareLayer) -> int:
    """Position of the last pooling window along an axis."""
    step, window = layer.pool_strides[axis], layer.pool[axis]
    return (size - window - layer.pool_dilations[axis] + 1) // step * step


def _columns_behind(c: LayerContext) -> int:
    columns = _input_size(c)[1]
    return columns - _last_window(columns, 1, c.layer)


def _padding(pad: int) -> dict[str, int]:
    return {"padded": 1, "pad_minus_1": pad - 1} if pad else {}


def row_count(c: LayerContext) -> Fields:
    """RCNT: rows with padding (MAX78000), or the last window and the words to the next row."""
    layer = c.layer
    rows, columns = _input_size(c)
    pad = layer.pad[0]
    if c.has_field("RCNT", "count"):
        return {"count": rows - 1 + 2 * pad, "pad": pad}
    behind = 1 if layer.operator == "conv1d" else _columns_behind(c)
    rest = (behind + (layer.pool_strides[0] - 1) * columns) * c.word_step
    return {"stop": _last_window(rows, 0, layer), "rest": rest, **_padding(pad)}


def column_count(c: LayerContext) -> Fields:
    """CCNT: columns with padding (MAX78000), or the last window and the columns behind it."""
    columns, pad = _input_size(c)[1], c.layer.pad[1]
    if c.has_field("CCNT", "count"):
        if c.layer.operator == "conv1d":
            return {}
        return {"count": columns - 1 + 2 * pad, "pad": pad}
    behind = _columns_behind(c)
    return {"stop": columns - behind, "rest": behind, **_padding(pad)}


def _pool_window(c: LayerContext, axis: int, register: str) -> Fields:
    dilation = c.layer.pool_dilations[axis]
    fields = {"extent": (c.layer.pool[axis] - 1) * dilation}
    if c.has_field(register, "dilation"):
        fields["dilation"] = dilation - 1
    return fields


def pool_rows(c: LayerContext) -> Fields:
    """PRCNT: rows of the pooling window."""
    return _pool_window(c, 0, "PRCNT")


def pool_columns(c: LayerContext) -> Fields:
    """PCCNT: columns of the pooling window."""
    return _pool_window(c, 1, "PCCNT")


def stride(c: LayerContext) -> Fields:
    """STRIDE: step of the window; on MAX78002 also in words."""
    step = c.layer.pool_strides[0]
    fields = {"stride": 0 if c.layer.operator == "transposed" else step - 1}
    if c.has_field("STRIDE", "step"):
        fields["step"] = step * c.word_step
    return fields


def write_pointer(c: LayerContext) -> Fields:
    """WPTR_BASE: memory and word of the first output."""
    layer = c.layer
    base = (layer.place.out_offset - layer.ignored_bytes) // 4
    if local_source(c):
        output = layer.output_processors >> 4 * c.group
        first = first_bit(output) & ~3 if output else 0
        return {"pointer": base | (first + 4 * c.group) * (c.memory_step // 4)}
    if layer.moved:
        return {"pointer": _moved_pointer(c, base)}
    output = layer.output_processors
    if not layer.convolves:
        output = layer.in_group(output, c.group) << c.device.processors_per_group * c.group
    memory = first_bit(output) // 4 if output else 0
    return {"pointer": base | memory * c.memory_step}


def _moved_pointer(c: LayerContext, base: int) -> int:
    span, layer = c.device.processors_per_group, c.layer
    first = first_bit(layer.processors)
    if c.group < first // span:
        return 0
    processor = span * (c.group - first // span) + first_bit(layer.output_processors)
    if c.group != first // span:
        processor -= first % span
    return base | processor // 4 * c.memory_step


def local_source(c: LayerContext) -> bool:
    """Whether the output processors of a used group are unevenly spaced."""
    for group in c.network.groups:
        positions = bits(c.layer.in_group(c.layer.output_processors, group))
        gaps = [b - a - 1 for a, b in itertools.pairwise(positions)]
        if gaps and (min(gaps) != max(gaps) or (max(gaps) > 0 and not c.layer.convolves)):
            return True
    return False


def slot_step(c: LayerContext) -> Fields:
    """WPTR_TOFFS: pointer step of a time slot."""
    layer = c.layer
    if layer.operator == "none":
        several = c.op.parts > 1 and layer.passes > 1
        large = layer.processors.bit_count() > 4 or several
        return {"offset": c.memory_step if large else c.memory_step // 4}
    if layer.operator == "conv2d":
        if layer.moved:
            return {"offset": c.memory_step}
        return {"offset": int(layer.kernel == (1, 1) and not layer.depthwise)}
    return {}


def memory_step(c: LayerContext) -> Fields | None:
    """WPTR_MOFFS: pointer step of a memory; only with an operator."""
    return {"offset": c.memory_step} if c.layer.convolves else None


def pass_step(c: LayerContext) -> Fields:
    """WPTR_CHOFFS: pointer step of an output pass."""
    if c.layer.out_passes == 1:
        return {}
    return {"offset": (4 if c.layer.wide else 1) * (c.layer.place.write_gap + 1)}


def read_pointer(c: LayerContext) -> Fields:
    """RPTR_BASE: word of the first input."""
    return {"word": c.layer.place.in_offset // 4}
