"""Layer registers that say what a layer computes: operator, operands, kernels, activation.

One small function a register. Source: register description, sections 4.6 to 4.8, which name every
symbol; the comments repeat only what the names do not say.
"""

from __future__ import annotations

from ai8xc.backends.ai8x.address_registers import local_source
from ai8xc.backends.ai8x.layer_context import Fields, LayerContext
from ai8xc.device import Device
from ai8xc.passes.hardware.kernels import flat_values
from ai8xc.passes.hardware.layer import HardwareLayer, ceil_div, first_bit, last_bit

WIDE_FLATTEN = 16
"""From so many passes on a flatten layer needs more bits than the ordinary pass counter has."""

FUNCTIONS = {"none": 0, "sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_SIZES = {8: 0, 1: 1, 2: 2, 4: 3}


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
