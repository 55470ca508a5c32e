"""The cycle model of the MAX78000 (semantics.md 4.3)."""

from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Operator

PACKED_PASSES = 16  # a flatten layer with more passes needs one more cycle


def layer_cycles(layer: Layer, streaming: bool) -> int:
    """CNN clock cycles of one layer without the start-up cycle; an estimate when it streams."""
    cycles = _copy_cycles(layer) if layer.operator is Operator.COPY else _sum_cycles(layer)
    return (15 * cycles + 9) // 10 if streaming else cycles


def _reads(layer: Layer) -> tuple[int, int]:
    """Cycles to read one pixel: of padding, of data."""
    window = layer.rows.pool * layer.columns.pool
    passes = layer.passes
    if layer.operator is Operator.COPY and window > 1 and layer.output_passes > 1:
        passes = 2 * passes - 1
    if layer.operands > 1 and not layer.pool_first and window > 1:
        return 2 * passes, passes * (layer.operands * window + 1)
    return 2 * passes * layer.operands, passes * layer.operands * (window + 1)


def _copy_cycles(layer: Layer) -> int:
    groups = layer.processors // PROCESSORS_PER_GROUP
    slots = max(((groups == g).sum() - 1) // 4 + 1 for g in set(groups.tolist()))
    window = layer.rows.pool * layer.columns.pool
    passes = 2 * layer.passes - 1 if window > 1 and layer.output_passes > 1 else layer.passes
    per_pixel = _reads(layer)[1] + passes * int(slots)
    return layer.rows.pooled * layer.columns.pooled * per_pixel


def _sum_cycles(layer: Layer) -> int:
    rows, columns = layer.rows, layer.columns
    zoom = 2 if layer.transposed else 1
    height, width = zoom * rows.pooled, zoom * columns.pooled
    window = rows.pool * columns.pool
    late = layer.operands > 1 and not layer.pool_first and window > 1
    pad_read, read = _reads(layer)
    step = layer.passes if late else 1
    outputs = layer.kernels // layer.passes
    out_width = width + 2 * columns.pad - columns.kernel + 1
    side = 2 * columns.pad * (pad_read + 1)
    pad_row = side + step * width * (pad_read + 1)
    fill_row = side + step * width * (read + 1)
    out = layer.passes * out_width * outputs
    if outputs == 1 and layer.passes == 1:
        out += 1

    def body(cost: int) -> int:
        edge = columns.pad * (pad_read + 1)
        inner = step * (columns.kernel - 1 - columns.pad) * (cost + 1)
        return edge + inner + step * (out_width - columns.pad) * cost + columns.pad * pad_read

    fill = rows.kernel - 1 - rows.pad
    cycles = rows.pad * pad_row + fill * fill_row
    cycles += (height - fill) * (body(read) + out) + rows.pad * (body(pad_read) + out)
    return cycles + int(layer.passes > PACKED_PASSES) + _late_fill(layer, late)


def _late_fill(layer: Layer, late: bool) -> int:
    """The extra term of layers that combine their operands before pooling."""
    if not late:
        return 0
    rows, columns = layer.rows, layer.columns
    offset = layer.first_kernel // 8 * layer.taps // 9
    return (
        (rows.pooled + 2 * rows.pad - columns.kernel + 1) * columns.pad
        + (columns.pooled + 2 * columns.pad - rows.kernel + 1) * rows.pad
        - rows.pad * columns.pad
    ) * offset
