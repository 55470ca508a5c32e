"""The value of every layer register, one small function a register.

Each function returns the fields of one register for one layer and group; a register that a layer
does not write gives None. Source: register description, sections 4.6 to 4.8, which name every
symbol; the comments repeat only what the names do not say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ai8xc.device import Device
from ai8xc.dialects.ai8x import Layer
from ai8xc.passes.hardware.kernel_shape import KernelCounts
from ai8xc.passes.hardware.kernels import flat_values, kernel_counts
from ai8xc.passes.hardware.layer import HardwareLayer, bits, ceil_div, first_bit, last_bit
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.registers import RegisterMap

Fields = Mapping[str, int]

WIDE_FLATTEN = 16
"""From so many passes on a flatten layer needs more bits than the ordinary pass counter has."""

FUNCTIONS = {"none": 0, "sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_SIZES = {8: 0, 1: 1, 2: 2, 4: 3}


@dataclass(frozen=True, eq=False)
class LayerContext:
    """One layer in one group, and the network around it."""

    network: HardwareNetwork
    registers: RegisterMap
    layer: HardwareLayer
    group: int

    @property
    def device(self) -> Device:
        """The device."""
        return self.network.device

    @property
    def op(self) -> Layer:
        """The layer as the graph has it."""
        return self.layer.op

    @property
    def is_start(self) -> bool:
        """Whether the layer runs first."""
        return self.layer is self.network.start

    @cached_property
    def counts(self) -> KernelCounts:
        """Kernels of the layer."""
        return kernel_counts(self.layer)

    @cached_property
    def memory_step(self) -> int:
        """Pointer step from one data memory to the next, in words."""
        return self.registers.memory("data").stride // 4

    @property
    def word_step(self) -> int:
        """Words between two input pixels of one pass and operand."""
        return (self.layer.place.read_gap + 1) * self.op.parts * self.layer.passes

    def has_field(self, register: str, field: str) -> bool:
        """Whether the device's register has a field."""
        return field in self.registers.register(register).fields


Formula = Callable[[LayerContext], Fields | None]


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


def layer_control(c: LayerContext) -> Fields:
    """LCTL: what the layer is, in bits."""
    layer, mode = c.layer, c.op.mode
    fields = {
        "fixed": 1,
        "chw": int(mode.chw),
        "pool": int(layer.pools),
        "maximum": int(not (layer.pools and layer.averages)),
        "relu": int(layer.weighted is not None and layer.weighted.activation == "relu"),
        "shared_source": int(not local_source(c)),
        "sources": _sources(c),
        "wide": int(layer.wide),
    }
    if c.has_field("LCTL", "kernel_rows") and layer.convolves:
        fields |= {"kernel_rows": layer.kernel[0] - 1, "kernel_columns": layer.kernel[1] - 1}
        fields |= {"broadcast": int(layer.broadcast), "bypass": int(layer.bypass)}
    if mode.readahead:
        passes = ceil_div(layer.passes, 4) if mode.tcalc else layer.passes
        fields |= {"readahead": 1, "readahead_passes": passes - 1}
    return fields


def _sources(c: LayerContext) -> int:
    """Groups whose sums, or bias, the first group adds to its own."""
    layer, first = c.layer, c.network.groups[0]
    summed = layer.convolves and not layer.depthwise and not layer.quad
    if c.group != first or not summed:
        return 0
    groups = set(layer.groups_of(layer.processors))
    if layer.bias is not None and layer.place.bias_group is not None:
        groups.add(layer.place.bias_group)
    return sum(1 << group for group in groups if group > first)


def layer_control_2(c: LayerContext) -> Fields:
    """LCTL2: passes, words between outputs, output columns."""
    layer = c.layer
    if layer.flatten:
        passes = (flat_values(layer) - 1) % WIDE_FLATTEN
    elif not layer.convolves and layer.emulated_operands:
        passes = 0
    else:
        passes = layer.passes - 1
    gap = layer.place.write_gap
    increment = layer.out_passes * (gap + 1) - 1 if layer.convolves else gap
    output = layer.output_processors
    columns = 0
    if layer.convolves:
        columns = (last_bit(output) - (first_bit(output) & ~3)) * layer.weight_bits
    return {"passes": passes, "increment": increment, "columns": columns}


def _kernel_range(c: LayerContext) -> tuple[int, int, int]:
    """First and last kernel in bits a tap, and the taps in front of the first."""
    layer = c.layer
    if not layer.convolves:
        last = 0
        if not (layer.emulated_operands and c.registers.has("MCNT")):
            last = (layer.out_passes - 1) * 8
        return 0, last, 0
    count = layer.out_shape[0] // layer.groups if layer.bypass else c.counts.fetched
    length = (count - 1) * layer.weight_bits
    if layer.calcx4 and c.is_start:
        length = ceil_div(length + layer.weight_bits, 4) - layer.weight_bits
    start, taps = divmod(9 * (layer.place.kernel_start or 0), layer.taps)
    if layer.calcx4:
        start = _calcx4_start(start, c.device)
    return 8 * start, 8 * start + length, taps


def _calcx4_start(start: int, device: Device) -> int:
    """Position of a kernel inside the four instances that calcx4 reads at once."""
    size, base = device.kernel_instance_columns, 0
    if start >= device.kernel_columns:
        size, base = device.kernel_instance_columns_large, device.kernel_columns
    rank, instance = divmod(start - base, 4)
    return base + instance * size + rank


def kernel_range(c: LayerContext) -> Fields:
    """MCNT (MAX78000): first and last kernel."""
    start, end, _ = _kernel_range(c)
    return {"start": start, "end": end}


def kernel_end(c: LayerContext) -> Fields | None:
    """MCNT1 (MAX78002): last kernel; only with an operator."""
    return {"end": _kernel_range(c)[1]} if c.layer.convolves else None


def kernel_start(c: LayerContext) -> Fields:
    """MCNT2 (MAX78002): first kernel, or the last output pass without operator."""
    start, end, _ = _kernel_range(c)
    return {"start": start if c.layer.convolves else end}


def kernel_outputs(c: LayerContext) -> Fields:
    """OCHAN (MAX78002): kernels, or time slots, less 1."""
    layer = c.layer
    if layer.bypass:
        return {"kernels": layer.out_shape[0] - 1}
    if not layer.convolves:
        return {"kernels": max(layer.time_slots - 1, 0)}
    if layer.depthwise:
        return {"kernels": max(layer.time_slots, 1) * layer.passes - 1}
    kernels = c.counts.outputs - 1
    return {"kernels": kernels // 4 if layer.calcx4 else kernels}


def operands(c: LayerContext) -> Fields:
    """ONED: 1-D kernels, time slots, operands."""
    layer, parts = c.layer, c.op.parts
    fields = {
        "slots": max(layer.time_slots - 1, 0),
        "first_tap": _kernel_range(c)[2],
        "length": _one_d_length(layer),
        "conv1d": int(layer.operator == "conv1d"),
    }
    if parts > 1:
        fields |= {
            "eltwise": 1,
            "function": FUNCTIONS[c.op.eltwise],
            "pool_first": int(layer.pools and c.op.pool_first),
            "eltwise_conv": int(layer.convolves),
            "operands": parts - 1,
        }
    return fields


def _one_d_length(layer: HardwareLayer) -> int:
    if layer.operator == "conv1d":
        return layer.kernel[0]
    if layer.operator == "conv2d":
        return int(layer.kernel == (1, 1))
    return int(not layer.convolves and layer.op.parts == 1)


def row_buffer(c: LayerContext) -> Fields:
    """TPTR: the row buffer words of the layer; the pass counter of wide flatten layers."""
    layer = c.layer
    streams = layer.streaming and layer.slot > 0
    point = layer.operator == "conv2d" and layer.kernel == (1, 1) and not streams
    if point or layer.operator == "conv1d":
        passes = flat_values(layer) if layer.flatten else 1
        if passes <= WIDE_FLATTEN:
            return {}
        return {"first": passes - 1, "last": 2 * passes - 1}
    first = 0
    if streams:
        before = [other for other in c.network.by_slot if other.slot < layer.slot]
        first = sum(other.row_buffer * other.passes for other in before)
    return {"first": first, "last": first + layer.row_buffer - 1}


def post_processing(c: LayerContext) -> Fields:
    """POST: bias, shift, weight width, and bits that tell the operator."""
    layer = c.layer
    fields = {
        "no_sum": int(not layer.convolves or layer.depthwise),
        "copy": int(not layer.convolves and c.op.parts == 1),
        "transposed": int(layer.operator == "transposed"),
        "weight_size": WEIGHT_SIZES[layer.weight_bits],
    }
    if layer.weighted is not None:
        shift = layer.weighted.shift
        fields |= {"shift": abs(shift), "shift_down": int(shift < 0)}
        fields["absolute"] = int(layer.weighted.activation == "abs")
    if layer.flatten and flat_values(layer) > WIDE_FLATTEN:
        passes = (flat_values(layer) - 1) // WIDE_FLATTEN
        fields |= {"flatten": 1, "flatten_passes": passes}
    if c.has_field("POST", "calcx4"):
        fields |= {"calcx4": int(layer.calcx4), "depthwise": int(layer.depthwise)}
        fields["tcalc"] = int(c.op.mode.tcalc)
    return fields | _bias_fields(c)


def _bias_fields(c: LayerContext) -> dict[str, int]:
    layer, place = c.layer, c.layer.place
    if layer.bias is None:
        return {}
    if layer.depthwise or layer.quad:
        start = place.bias_starts[c.group] if place.bias_starts else None
        scale = 4 if layer.broadcast else 1
    else:
        start = place.bias_start if place.bias_group == c.group else None
        scale = 4 if layer.calcx4 else 1
    return {} if start is None else {"bias": 1, "bias_offset": start // scale}


def enable(c: LayerContext) -> Fields:
    """ENA: processors of the group, for data and for kernels."""
    processors = c.layer.in_group(c.layer.processors, c.group)
    kernels = c.layer.convolves and not c.layer.bypass
    return {"processors": processors, "kernels": processors if kernels else 0}


FORMULAS: Mapping[str, Formula] = {
    "NXTLYR": next_layer,
    "RCNT": row_count,
    "CCNT": column_count,
    "PRCNT": pool_rows,
    "PCCNT": pool_columns,
    "STRIDE": stride,
    "WPTR_BASE": write_pointer,
    "WPTR_TOFFS": slot_step,
    "WPTR_MOFFS": memory_step,
    "WPTR_CHOFFS": pass_step,
    "RPTR_BASE": read_pointer,
    "LCTL": layer_control,
    "LCTL2": layer_control_2,
    "MCNT": kernel_range,
    "MCNT1": kernel_end,
    "MCNT2": kernel_start,
    "OCHAN": kernel_outputs,
    "ONED": operands,
    "TPTR": row_buffer,
    "POST": post_processing,
    "ENA": enable,
}
"""The registers in the order in which they are written; a device lacks some of them."""
