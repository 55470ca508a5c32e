"""Where the kernels of a layer lie in the kernel memory: columns, and their bytes.

Each processor fetches its kernels as a stream of bytes out of columns of nine. All processors of a
layer share one start column. Source: memory description, sections 1.2 to 1.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ai8xc.ir.types import Array
from ai8xc.passes.hardware.kernel_shape import KernelCounts, KernelShape
from ai8xc.passes.hardware.layer import (
    HardwareLayer,
    bits,
    ceil_div,
    round_up,
)


def kernel_shape(layer: HardwareLayer) -> KernelShape:
    """Return what the counts of a placed layer follow from."""
    return KernelShape(
        layer.weight_bits,
        layer.taps,
        layer.out_shape[0],
        layer.passes,
        layer.output_processors,
        layer.device.processors_per_memory,
        flat_values(layer) if layer.flatten else 0,
        layer.depthwise,
        layer.quad,
        quartered(layer),
        layer.device.kernel_bytes_per_column,
    )


def quartered(layer: HardwareLayer) -> bool:
    """Whether every fourth output has its kernels in a memory of its own."""
    whole_columns = layer.taps == layer.device.kernel_bytes_per_column
    return layer.calcx4 and whole_columns and not layer.depthwise


def kernel_counts(layer: HardwareLayer) -> KernelCounts:
    """Return the counts of a layer; all 0 where it stores no kernels."""
    return kernel_shape(layer).counts if layer.stores_kernels else KernelCounts(0, 0, 0)


def flat_values(layer: HardwareLayer) -> int:
    """Return the weights that a flatten layer has for one output and processor."""
    return layer.passes * layer.flat_pixels


@dataclass(frozen=True)
class Block:
    """Adjacent columns on all processors of a layer, `start` relative to the layer's start.

    `data` is processors x columns x 9 bytes; byte 0 is the one at the lowest address.
    """

    start: int
    data: Array


def kernel_blocks(layer: HardwareLayer) -> list[Block]:
    """Return the columns of a layer in logical order, one row for each bit of its processors.

    Kernels are fetched output by output, for every processor from a multiple of four up to the
    last output processor, and pass by pass: those without output or channel are zeros. Columns
    with nothing but kernels that no output asks for are left out.
    Source: memory description, sections 1.2 to 1.5; register description, section 11.8.
    """
    kernels, asked = _depthwise(layer) if layer.depthwise else _by_output(layer)
    per_byte = 8 // layer.weight_bits
    if quartered(layer):
        kernels, asked = _in_quarters(layer, kernels)
    rest = -len(asked) % per_byte
    kernels, asked = _padded(kernels, rest), np.append(asked, [False] * rest)
    grouped = kernels.reshape(layer.lanes, -1, per_byte, layer.taps)
    stream = _joined(grouped, layer.weight_bits)[:, :, ::-1].reshape(layer.lanes, -1)
    wanted = asked.reshape(-1, per_byte).any(axis=1).repeat(layer.taps)
    return _blocks(layer, stream, wanted)


def _by_output(layer: HardwareLayer) -> tuple[Array, Array]:
    """Return processors x kernels x taps in the order of fetching, and which are asked for."""
    outputs, lanes = layer.out_shape[0], layer.lanes
    processors = np.array(bits(layer.output_processors))
    first = processors[0] - layer.start_column
    width = processors[-1] - first + 1
    number = np.arange(layer.out_passes * layer.out_lanes)
    columns = number // layer.out_lanes * width + processors[number % layer.out_lanes] - first
    values = _per_processor(layer)
    total = columns[-1] + 1
    if layer.flatten:
        columns = columns[:outputs]
        total = columns[-1] + 1
    else:  # the vendor fills up with zeros: outputs that share a byte, for each pass
        total = round_up(total, 8 // layer.weight_bits)
    found = np.zeros((lanes, total, *values.shape[2:]), values.dtype)
    found[:, columns[:outputs]] = values
    asked = np.zeros((total, found.shape[2]), bool)
    asked[columns] = True
    asked[columns[-1] :] = True
    return found.reshape(lanes, -1, layer.taps), asked.reshape(-1)


def _per_processor(layer: HardwareLayer) -> Array:
    """Return the weights as processors x outputs x fetches x taps; absent channels are 0."""
    outputs, passes, lanes = layer.out_shape[0], layer.passes, layer.lanes
    weights = ordered_weights(layer).reshape(outputs, layer.channels, -1, layer.taps)
    absent = passes * lanes - layer.channels
    weights = np.pad(weights, ((0, 0), (0, absent), (0, 0), (0, 0)))
    split = weights.reshape(outputs, passes, lanes, -1, layer.taps)
    return split.transpose(2, 0, 3, 1, 4).reshape(lanes, outputs, -1, layer.taps)


def _depthwise(layer: HardwareLayer) -> tuple[Array, Array]:
    """Return processors x kernels x taps: one kernel a pass.

    The vendor writes as many bytes as for 8-bit weights, zeros behind the kernels.
    """
    passes, lanes = layer.passes, layer.lanes
    weights = _padded(ordered_weights(layer)[None], passes * lanes - layer.channels)
    kernels = weights.reshape(passes, lanes, layer.taps).transpose(1, 0, 2)
    skipped = layer.start_column * passes
    kernels = np.pad(kernels, ((0, 0), (skipped, passes * (8 // layer.weight_bits - 1)), (0, 0)))
    return kernels, np.arange(kernels.shape[1]) >= skipped


def _padded(kernels: Array, count: int) -> Array:
    return np.pad(kernels, ((0, 0), (0, count), (0, 0)))


def _in_quarters(layer: HardwareLayer, kernels: Array) -> tuple[Array, Array]:
    """Return the kernels, each quarter of them filled up to whole columns: all are asked for."""
    size = layer.out_shape[0] // 4 * layer.passes
    quarters = kernels[:, : 4 * size].reshape(layer.lanes, 4, size, layer.taps)
    rest = -size % (8 // layer.weight_bits)
    filled = np.pad(quarters, ((0, 0), (0, 0), (0, rest), (0, 0)))
    filled = filled.reshape(layer.lanes, -1, layer.taps)
    return filled, np.ones(filled.shape[1], bool)


def _joined(values: Array, bits_each: int) -> Array:
    """Return bytes: the weights of the last axis but one joined, the first in the lowest bits."""
    if bits_each == 8:
        return values[:, :, 0].astype(np.uint8)
    masked = (values & (1 << bits_each) - 1).astype(np.uint8)
    places = np.arange(masked.shape[2], dtype=np.uint8) * bits_each
    return np.asarray(np.bitwise_or.reduce(masked << places[:, None], axis=2))


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


def _blocks(layer: HardwareLayer, stream: Array, wanted: Array) -> list[Block]:
    """Return a byte stream as columns of nine, without those that hold nothing wanted.

    As many columns as the layer counts are filled up with zeros.
    """
    columns = kernel_shape(layer).stored
    missing = columns * 9 - len(wanted)
    data = np.pad(stream, ((0, 0), (0, missing))).reshape(layer.lanes, columns, 9)[:, :, ::-1]
    padded = np.append(wanted, [False] * missing).reshape(columns, 9)
    used = np.asarray(padded.any(axis=1))
    used[ceil_div(len(wanted), 9) :] = True
    edges = np.flatnonzero(np.diff(used.astype(np.int8), prepend=0, append=0))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [Block(first, data[:, first:last]) for first, last in runs]
