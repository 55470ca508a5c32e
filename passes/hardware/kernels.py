"""Where the kernels of a layer lie in the kernel memory: counts, columns, and their bytes.

Each processor fetches its kernels as a stream of bytes out of columns of nine. All processors of a
layer share one start column. Source: memory description, sections 1.2 to 1.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ai8xc.ir.types import Array
from ai8xc.passes.hardware.layer import HardwareLayer, ceil_div, first_bit, last_bit


@dataclass(frozen=True)
class KernelCounts:
    """Kernels of one processor: `fetched` and `outputs` go into registers, `columns` are needed.

    Both count kernels of the layer's weight width; source: memory description, section 1.6.
    """

    columns: int
    fetched: int
    outputs: int


def kernel_counts(layer: HardwareLayer) -> KernelCounts:
    """Return the counts of a layer; all 0 where it stores no kernels."""
    if not layer.stores_kernels:
        return KernelCounts(0, 0, 0)
    outputs, skipped = output_columns(layer), layer.start_column
    passes = 1 if layer.flatten else layer.passes
    if layer.depthwise:
        stored = passes
        fetched = passes * (1 + skipped)
        shown = passes * (outputs + skipped)
    else:
        stored = outputs * layer.out_passes * passes
        fetched = shown = stored + skipped * layer.out_passes * passes
    if layer.flatten:
        values = flat_values(layer)
        short = layer.out_passes * layer.output_processors.bit_count() - layer.out_shape[0]
        stored = (stored - short) * values
        fetched = shown = (fetched - short) * values
    columns = _columns(layer, stored)
    if layer.quad:
        return KernelCounts(ceil_div(columns, 4), ceil_div(fetched, 4), ceil_div(shown, 4))
    return KernelCounts(columns, fetched, shown)


def output_columns(layer: HardwareLayer) -> int:
    """Return the output processors from the first to the last, with the holes between them.

    With several output passes the columns start at a multiple of four.
    """
    first = first_bit(layer.output_processors)
    if layer.out_passes > 1:
        first -= layer.start_column
    return last_bit(layer.output_processors) - first + 1


def flat_values(layer: HardwareLayer) -> int:
    """Return the weights that a flatten layer has for one output and processor."""
    return layer.passes * layer.flat_pixels


def _columns(layer: HardwareLayer, kernels: int) -> int:
    per_byte = 8 // layer.weight_bits
    unused = (kernels % per_byte) * layer.taps * (per_byte - 1)
    return ceil_div(kernels * layer.taps * layer.weight_bits + unused, 72)


@dataclass(frozen=True)
class Block:
    """Adjacent columns on all processors of a layer, `start` relative to the layer's start.

    `data` is processors x columns x 9 bytes; byte 0 is the one at the lowest address.
    """

    start: int
    data: Array


def kernel_blocks(layer: HardwareLayer) -> list[Block]:
    """Return the columns of a layer in logical order, one row for each bit of its processors.

    Layers whose processors need different numbers of columns get zeros up to the longest.
    Source: memory description, sections 1.3 (steps 1 to 4) and 1.5.
    """
    needed = 0 if layer.quad else kernel_counts(layer).columns
    skip, fill = divmod(layer.start_column * layer.taps * _passes(layer), 9)
    pieces = _pieces(layer)
    lead = np.zeros((layer.lanes, fill // (8 // layer.weight_bits)), np.uint8)
    pieces[0] = _Piece(0, [np.concatenate([lead[j], s]) for j, s in enumerate(pieces[0].streams)])
    blocks: list[Block] = []
    column = skip
    for piece in pieces:
        column += piece.gap
        block = _block(column, piece.streams)
        if block.data.shape[1]:
            blocks.append(block)
        column += block.data.shape[1]
    missing = needed + layer.start_column - column
    if missing > 0 and not layer.flatten:
        blocks.append(Block(column, np.zeros((layer.lanes, missing, 9), np.uint8)))
    return _merged(blocks)


@dataclass(frozen=True)
class _Piece:
    """Bytes without a hole, one stream a processor, `gap` columns behind the piece before."""

    gap: int
    streams: list[Array]


def _passes(layer: HardwareLayer) -> int:
    return 1 if layer.flatten else layer.passes


def _pieces(layer: HardwareLayer) -> list[_Piece]:
    if layer.flatten:
        return [_Piece(0, list(_flat_streams(layer)))]
    return [_Piece(gap, _streams(layer, slots)) for gap, slots in _slots(layer)]


def _slots(layer: HardwareLayer) -> list[tuple[int, list[int]]]:
    """Return runs of output numbers, each with the number of missing columns before it.

    One output number stands for as many consecutive outputs as one byte holds weights of.
    """
    per_byte = 8 // layer.weight_bits
    if layer.depthwise:
        return [(0, [0])]
    runs: list[tuple[int, list[int]]] = [(0, [])]
    number = 0
    for _ in range(layer.out_passes):
        pattern = layer.output_processors >> first_bit(layer.output_processors)
        for _ in range(0, layer.out_lanes, per_byte):
            gap = 0
            while pattern and not pattern & (1 << per_byte) - 1:
                pattern >>= per_byte
                gap += 1
            pattern >>= per_byte
            if gap:
                runs.append((gap, []))
            runs[-1][1].append(number)
            number += per_byte
    return runs


def _streams(layer: HardwareLayer, numbers: list[int]) -> list[Array]:
    """Return the bytes of each processor for these output numbers.

    Index order of the arrays: processor, output number, pass, weight within a byte, tap.
    """
    bits, taps, weights = layer.weight_bits, layer.taps, ordered_weights(layer)
    per_byte = 8 // bits
    channels, lanes, passes = layer.channels, layer.lanes, layer.passes
    j = np.arange(lanes)[:, None, None, None]
    m = np.array(numbers)[None, :, None, None]
    e = np.arange(passes)[None, None, :, None]
    n = e * per_byte + np.arange(per_byte)
    rows = j + m * channels + n % passes * lanes + n // passes * channels
    exists = (e * lanes + j < channels) & (j + m * channels < len(weights))
    valid = (rows < len(weights)) & exists
    values = np.where(valid[..., None], weights[np.where(valid, rows, 0)], 0)
    packed = _joined(values, bits, axis=3)[..., ::-1]
    if exists.all():
        return list(packed.reshape(lanes, -1))
    kept = np.where(exists, taps, taps // per_byte) > np.arange(taps)
    return [packed[k][kept[k]] for k in range(lanes)]


def _flat_streams(layer: HardwareLayer) -> Array:
    """Return the bytes of each processor of a flatten layer, processors x bytes."""
    bits = layer.weight_bits
    outputs, passes, lanes = layer.out_shape[0], layer.passes, layer.lanes
    weights = layer.weights.reshape(outputs, passes, lanes, layer.flat_pixels)
    values = weights.transpose(2, 0, 3, 1).reshape(lanes, -1)
    per_byte = 8 // bits
    absent = layer.out_passes * layer.out_lanes - outputs if per_byte == 1 else 0
    padding = -values.shape[1] % per_byte + absent
    values = np.pad(values, ((0, 0), (0, padding)))
    return _joined(values.reshape(lanes, -1, per_byte), bits, axis=2)


def _joined(values: Array, bits: int, axis: int) -> Array:
    """Return bytes of weights joined along an axis, the first one in the lowest bits."""
    if bits == 8:
        return values.squeeze(axis).astype(np.uint8)
    masked = (values & (1 << bits) - 1).astype(np.uint8)
    places = np.arange(masked.shape[axis], dtype=np.uint8) * bits
    shape = [1] * masked.ndim
    shape[axis] = -1
    return np.asarray(np.bitwise_or.reduce(masked << places.reshape(shape), axis=axis))


def ordered_weights(layer: HardwareLayer) -> Array:
    """Return the weights in the order in which they are stored, as the numbers that are stored.

    +1 is stored as 0 and -1 as 1; calcx4 and the quad FIFO take outputs from four places at once
    (memory description, sections 1.2 and 1.8).
    """
    weights = layer.weights
    if layer.binary:
        weights = (weights < 0).astype(np.int8)
    outputs = layer.out_shape[0]
    per_output = weights.reshape(outputs, -1, layer.taps)
    per_byte = 8 // layer.weight_bits
    if layer.calcx4 and not layer.flatten:
        per_output = per_output[np.arange(outputs).reshape(-1, 4).T.reshape(-1)]
    elif layer.quad and per_byte > 1:
        order = np.arange(outputs).reshape(-1, per_byte, 4).transpose(0, 2, 1)
        per_output = per_output[order.reshape(-1)]
    return per_output.reshape(-1, layer.taps)


def _block(start: int, streams: list[Array]) -> Block:
    columns = max((ceil_div(len(stream), 9) for stream in streams), default=0)
    data = np.zeros((len(streams), columns * 9), np.uint8)
    for row, stream in zip(data, streams, strict=True):
        row[: len(stream)] = stream
    return Block(start, data.reshape(len(streams), columns, 9)[:, :, ::-1])


def _merged(blocks: list[Block]) -> list[Block]:
    """Return the blocks with those joined that follow each other without a hole."""
    merged: list[Block] = []
    for block in blocks:
        last = merged[-1] if merged else None
        if last is not None and last.start + last.data.shape[1] == block.start:
            joined = np.concatenate([last.data, block.data], axis=1)
            merged[-1] = Block(last.start, joined)
        else:
            merged.append(block)
    return merged
