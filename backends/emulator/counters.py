"""The streaming counters that the hardware needs, from the geometry of the layers.

registers.md 6.3 (MAX78000) and 6.4 (MAX78002). Functionally streaming changes no number, so these
registers are only compared with what the equations give.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ai8xc.backends.emulator.consistency import row_buffer_words
from ai8xc.backends.emulator.decode import Layer, Run
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.state import RegisterFile

START_MARGIN = 2  # words the MAX78000 waits for beyond the first window
CHW_ROLLOVER = 12  # MAX78000, rolling buffer of a CHW frame
PIXELS_PER_WORD = 4


@dataclass(frozen=True, slots=True)
class Counters:
    """STREAM1, STREAM2 and FMAX of one layer."""

    start: int
    delta1: int
    delta2: int
    rollover: int


def small_counters(layer: Layer, previous: Layer | None) -> Counters:
    """MAX78000; `previous` is the layer before, None for the one that reads the FIFO."""
    rows, columns = layer.rows, layer.columns
    stride = columns.stride if columns.size > 1 else 1
    if previous is None:
        start = ((rows.pool - 1) * columns.size + columns.pool) * rows.pool
        delta1 = (stride - 1) * layer.operands
        delta2 = (rows.pool - 1) * columns.size * layer.operands
    else:
        width = previous.columns.pooled * (2 if previous.transposed else 1)
        width += 2 * previous.columns.pad
        start = width * (previous.rows.kernel + rows.pool - 2)
        start += previous.columns.kernel - 1 + columns.pool + START_MARGIN
        delta1 = stride * layer.operands
        delta2 = (rows.stride - 1) * width + columns.pool * layer.operands
    step = max(2 if layer.transposed else 1, stride, columns.pool)
    rollover = CHW_ROLLOVER if layer.chw else start + (rows.pool - 1) * columns.size + step
    return Counters(start, delta1, delta2, _round_up(rollover, layer.passes))


def large_counters(layer: Layer, reads_fifo: bool, is_last: bool, options: int) -> Counters:
    """MAX78002; `options` is the number of words that read-ahead adds, `is_last` of the streams."""
    rows, columns = layer.rows, layer.columns
    stride = columns.stride if columns.size > 1 else 1
    row = max(rows.pool * rows.dilation, rows.stride)
    column = max(columns.pool * columns.dilation, stride)
    padded = columns.size + 2 * columns.pad
    window = (row * padded + columns.pad + 2 * column) * layer.operands + options
    if reads_fifo:
        start = column if rows.stride == 1 and rows.pool == 1 else window
        rollover = start + column + (stride - 1) * padded
        return Counters(start, stride, 0, rollover)
    adjust = _column_rest(layer, column, stride)
    start = (columns.pad or rows.stride) * padded + window + (adjust * stride if is_last else 0)
    delta1 = stride * layer.operands
    jump = delta1 if rows.stride == 1 else (rows.stride - 1) * columns.size
    rollover = start + (layer.passes - 1) * (row * columns.size + columns.pad + column) + column
    return Counters(start, delta1, jump + adjust, _round_up(rollover, layer.passes))


def _column_rest(layer: Layer, column: int, stride: int) -> int:
    width = layer.columns.size
    steps = width // column
    if steps * stride + layer.columns.pool > width:
        steps -= 1
    return 0 if column == 1 else width - steps * column


def fifo_counters(layer: Layer, counters: Counters, pipeline: bool) -> Counters:
    """MAX78002: the deltas of the layer that reads the FIFO, in words."""
    rows, columns = layer.rows, layer.columns
    stride = columns.stride if columns.size > 1 else 1
    words = PIXELS_PER_WORD if layer.chw else 1
    steps = columns.size // stride
    if steps * stride + columns.pool - 1 > columns.size:
        steps -= 1
    skipped = max(0, columns.size - steps * stride)
    single = rows.stride == 1 and rows.pool == 1
    delta1 = -(-(stride * layer.operands - int(single)) // words)
    if rows.stride == 1:
        delta2 = delta1 + skipped
    else:
        delta2 = (rows.stride - 1) * columns.size + skipped + columns.pool - 1
    delta2 = -(-delta2 // words)
    if pipeline and delta2 > 0:
        delta2 += 1
    rollover = counters.rollover * (PIXELS_PER_WORD * stride if layer.chw else 1)
    return Counters(-(-counters.start // words), delta1, delta2, rollover)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def expected_counters(
    registers: RegisterFile, run: Run, layer: Layer, before: list[Layer], is_last: bool
) -> Counters:
    """What the counters of a streaming layer must be; `before` are the streaming layers so far."""
    if not registers.map.has("NXTLYR"):
        return small_counters(layer, before[-1] if before else None)
    ahead = registers.field("LCTL", "readahead", run.master, layer.index)
    stride = layer.columns.stride if layer.columns.size > 1 else 1
    counters = large_counters(layer, not before, is_last, stride if ahead else 0)
    if before:
        return counters
    return fifo_counters(layer, counters, not registers.field("CTL", "pipeline_off"))


def check_counters(
    registers: RegisterFile,
    run: Run,
    layers: list[Layer],
    is_last: bool,
    findings: Findings,
) -> None:
    """Report counters of the newest streaming layer that differ from the equations."""
    *before, layer = layers
    wanted = expected_counters(registers, run, layer, before, is_last)
    for register, field, expected in _expectations(registers, run, wanted, before):
        found = registers.field(register, field, run.master, layer.index)
        if found != expected:
            message = f"`{register}.{field}` is {found}, not {expected}"
            findings.add(Finding("inconsistent", message, layer=layer.index))


def _expectations(
    registers: RegisterFile, run: Run, wanted: Counters, before: list[Layer]
) -> Iterator[tuple[str, str, int]]:
    yield "STREAM1", "start", wanted.start
    yield "STREAM2", "delta1", wanted.delta1
    yield "STREAM2", "delta2", wanted.delta2
    yield "FMAX", "rollover", wanted.rollover
    yield "STREAM2", "invol", sum(_involved(registers, run, layer) for layer in before)
    if before and before[0].index != run.last:
        yield "TPTR", "first", sum(row_buffer_words(b) * b.passes for b in before)


def _involved(registers: RegisterFile, run: Run, layer: Layer) -> int:
    grouped = registers.field("POST", "tcalc", run.master, layer.index)
    return _round_up(layer.passes, 4) if grouped else layer.passes
