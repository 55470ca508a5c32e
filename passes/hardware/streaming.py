"""When a streaming layer may start, how far it goes, and how large its buffer is.

A streaming layer starts when enough words of its input have arrived (`start`), then goes on by
`delta1` words a column and `delta2` a row; its input lies in a buffer of `rollover` words. The two
devices count differently. Source: register description, sections 6.2 to 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from ai8xc.dialects.settings import Settings
from ai8xc.passes.hardware.layer import HardwareLayer, ceil_div, round_up
from ai8xc.passes.hardware.network import HardwareNetwork

CHW_ROLLOVER = 12
"""Words of the buffer of a CHW input on MAX78000."""


@dataclass(frozen=True)
class StreamCounters:
    """The counters of one layer; all 0 where it does not stream."""

    start: int = 0
    delta1: int = 0
    delta2: int = 0
    rollover: int = 0
    passes_before: int = 0


def input_words(layer: HardwareLayer) -> int:
    """Return the words that each FIFO carries."""
    pixels = layer.rows * layer.columns
    return ceil_div(pixels, 4) if layer.op.mode.chw else pixels


def stream_counters(network: HardwareNetwork, layer: HardwareLayer) -> StreamCounters:
    """Return the counters of a layer as the device counts."""
    settings = network.settings
    is_start = layer is network.start
    if not (layer.streaming or (is_start and settings.fifo)):
        return StreamCounters()
    windowed = "stream-final-unpadded" in network.device.features
    if is_start:
        found = _start_windowed(network, layer) if windowed else _start_plain(network, layer)
        if not layer.streaming:
            return StreamCounters(start=found.start)
        return found
    found = _later_windowed(network, layer) if windowed else _later_plain(network, layer)
    before = sum(other.involved_passes for other in network.by_slot if other.slot < layer.slot)
    return StreamCounters(found.start, found.delta1, found.delta2, found.rollover, before)


def _chosen(value: int | None, default: int) -> int:
    return default if value is None else value


def _start_plain(network: HardwareNetwork, layer: HardwareLayer) -> StreamCounters:
    """Counters of the start layer on MAX78000."""
    settings, operands = network.settings, layer.op.parts
    rows = layer.pool[0]
    if layer.streaming:
        start = ((rows - 1) * layer.columns + layer.pool[1]) * rows
    else:
        start = input_words(layer) * rows
    start = _chosen(settings.stream_start, start)
    delta1 = _chosen(settings.stream_delta1, (layer.pool_strides[1] - 1) * operands)
    delta2 = _chosen(settings.stream_delta2, (rows - 1) * layer.columns * operands)
    return StreamCounters(start, delta1, delta2, _rollover_plain(layer, start, settings))


def _later_plain(network: HardwareNetwork, layer: HardwareLayer) -> StreamCounters:
    """Counters of the layers behind the start layer on MAX78000."""
    settings, operands = network.settings, layer.op.parts
    before = network.previous[layer]
    width = before.pooled[1] + 2 * before.pad[1]
    rows, columns = layer.pool
    start = width * (before.kernel[0] - 1 + rows - 1)
    start += before.kernel[1] - 1 + columns + settings.stream_more_start
    delta1 = layer.pool_strides[1] * operands + settings.stream_more_delta1
    delta2 = (layer.pool_strides[0] - 1) * width + columns * operands
    delta2 += settings.stream_more_delta2
    return StreamCounters(start, delta1, delta2, _rollover_plain(layer, start, None))


def _rollover_plain(layer: HardwareLayer, start: int, settings: Settings | None) -> int:
    if settings is not None and settings.stream_rollover is not None:
        return settings.stream_rollover
    if layer.op.mode.chw:
        words = CHW_ROLLOVER
    else:
        stride = layer.device.transposed_stride if layer.operator == "transposed" else 1
        step = max(stride, layer.pool_strides[1], layer.pool[1])
        words = start + (layer.pool[0] - 1) * layer.columns + step
    return round_up(words, layer.passes)


def _increments(layer: HardwareLayer) -> tuple[int, int]:
    """Rows and columns from one window to the next, or the window's own where it is larger."""
    rows, columns = (
        max(window * dilation, step)
        for window, dilation, step in zip(
            layer.pool, layer.pool_dilations, layer.pool_strides, strict=True
        )
    )
    return rows, columns


def _start_windowed(network: HardwareNetwork, layer: HardwareLayer) -> StreamCounters:
    """Counters of the start layer on MAX78002."""
    settings = network.settings
    chw, (row_step, column_step) = layer.op.mode.chw, layer.pool_strides
    rows, columns = _increments(layer)
    width = layer.columns + 2 * layer.pad[1]
    single = row_step == 1 and layer.pool[0] == 1
    if not layer.streaming:
        return StreamCounters(_chosen(settings.stream_start, input_words(layer)))
    if single:
        start = columns
    else:
        start = (rows * width + layer.pad[1] + 2 * columns) * layer.op.parts
        start += column_step if layer.op.mode.readahead else 0
    delta1 = column_step * layer.op.parts - int(single)
    delta1 = ceil_div(delta1, 4) if chw else delta1
    skipped = _skipped(layer)
    if row_step == 1:
        delta2 = delta1 + skipped
    else:
        delta2 = (row_step - 1) * layer.columns + skipped + layer.pool[1] - 1
    delta2 = ceil_div(delta2, 4) if chw else delta2
    delta2 += int(settings.pipeline and delta2 > 0)
    words = _chosen(settings.stream_start, start) + columns + (column_step - 1) * width
    words *= 4 * column_step if chw else 1
    return StreamCounters(
        _chosen(settings.stream_start, ceil_div(start, 4) if chw else start),
        _chosen(settings.stream_delta1, delta1),
        _chosen(settings.stream_delta2, delta2),
        _chosen(settings.stream_rollover, words),
    )


def _skipped(layer: HardwareLayer) -> int:
    """Columns at the end of a row of the start layer that no window reads."""
    step = layer.pool_strides[1]
    windows = layer.columns // step
    if windows * step + layer.pool[1] - 1 > layer.columns:
        windows -= 1
    return max(0, layer.columns - windows * step)


def _later_windowed(network: HardwareNetwork, layer: HardwareLayer) -> StreamCounters:
    """Counters of the layers behind the start layer on MAX78002."""
    settings = network.settings
    row_step, column_step = layer.pool_strides
    rows, columns = _increments(layer)
    width = layer.columns + 2 * layer.pad[1]
    rest = _rest(layer, columns)
    following = network.following.get(layer)
    last = following is None or not following.streaming
    start = (layer.pad[1] or row_step) * width
    start += (rows * width + layer.pad[1] + 2 * columns) * layer.op.parts
    start += column_step if layer.op.mode.readahead else 0
    start += rest * column_step if last else 0
    delta1 = column_step * layer.op.parts + settings.stream_more_delta1
    delta2 = delta1 + rest if row_step == 1 else (row_step - 1) * layer.columns + rest
    delta2 += settings.stream_more_delta2
    words = start + columns
    words += (layer.passes - 1) * (rows * layer.columns + layer.pad[1] + columns)
    return StreamCounters(start, delta1, delta2, round_up(words, layer.passes))


def _rest(layer: HardwareLayer, columns: int) -> int:
    """Columns at the end of a row that no window of a later layer reads."""
    if columns == 1:
        return 0
    step = layer.pool_strides[1]
    windows = layer.columns // columns
    if windows * step + layer.pool[1] > layer.columns:
        windows -= 1
    return layer.columns - windows * columns
