"""One layer as one step: gather the input, compute, place the output."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator import operators
from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Operator
from ai8xc.backends.emulator.kernels import (
    convolution_weights,
    depthwise_weights,
    output_bias,
    output_count,
)
from ai8xc.backends.emulator.memory import (
    DEFINED,
    LANES,
    DataMemory,
    Frame,
    Ids,
    KernelMemory,
    PlainMemory,
)
from ai8xc.backends.emulator.operators import Int8, Int64, Mask

PIXELS_PER_WORD = 4  # CHW data


@dataclass(frozen=True)
class Memories:
    """Everything a layer can read or write."""

    data: DataMemory
    kernels: KernelMemory
    bias: PlainMemory
    tram: PlainMemory


@dataclass(frozen=True)
class Gathered:
    """The input of a layer: `values` `(processors, passes, operands, rows, columns)`.

    `state` is `(memories, words)` over the words from `first` on; `unknown` marks the words
    `(memories, words of a pixel, rows, columns)` that are not determined, None when all are.
    """

    values: Int8
    memories: NDArray[np.intp]
    first: int
    state: Ids
    unknown: Mask | None


@dataclass(frozen=True)
class Computed:
    """The output of a layer: `values` `(outputs, rows, columns)`, int8 or int32.

    `unknown` marks the pixels `(rows, columns)` that depend on undetermined input.
    """

    values: NDArray[np.integer]
    unknown: Mask | None


def gather(layer: Layer, source: Frame) -> Gathered:
    """Read every input word of a layer (registers.md 11.6)."""
    memories, position = np.unique(layer.processors // LANES, return_inverse=True)
    lane = layer.processors % LANES
    height, width = layer.rows.size, layer.columns.size
    if layer.chw:
        count = -(-layer.pixels // PIXELS_PER_WORD)
        lanes, state = source.read(memories, layer.read_word, count)
        values = lanes.reshape(len(memories), -1)[position, : layer.pixels]
        known = np.repeat(state == DEFINED, PIXELS_PER_WORD, axis=1)[:, : layer.pixels]
        planes = values.reshape(len(position), 1, 1, height, width)
        shape = (len(position), layer.passes, layer.operands, height, width)
        unknown = _unknown(known[:, None], height, width)
        repeated = np.broadcast_to(planes, shape)  # more than one of each is reported
        return Gathered(repeated, memories, layer.read_word, state, unknown)
    step, words = layer.read_step, layer.words_per_pixel
    lanes, state = source.read(memories, layer.read_word, layer.pixels * step)
    pixels = lanes.reshape(len(memories), layer.pixels, step, LANES)[:, :, :words]
    known = (state == DEFINED).reshape(len(memories), layer.pixels, step)[:, :, :words]
    values = np.moveaxis(pixels, 1, 3)[position, :, lane]
    shape = (len(position), layer.passes, layer.operands, height, width)
    unknown = _unknown(np.moveaxis(known, 2, 1), height, width)
    return Gathered(values.reshape(shape), memories, layer.read_word, state, unknown)


def _unknown(known: Mask, height: int, width: int) -> Mask | None:
    """The undetermined words, from `(memories, words, pixels)`; None when there are none."""
    return None if known.all() else ~known.reshape(*known.shape[:2], height, width)


def compute(layer: Layer, gathered: Gathered, memories: Memories) -> Computed:
    """The output tensor of a layer from its input."""
    x = _prepared(layer, gathered.values)
    if layer.operator is Operator.COPY:
        outputs = np.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])
        values: NDArray[np.integer] = outputs
    else:
        total = _total(layer, x, memories)
        bias = output_bias(layer, memories.bias, len(total))
        if bias is not None:
            total += bias[:, None, None]
        values = (
            total.astype(np.int32)
            if layer.wide
            else operators.scale(total, layer.shift, layer.relu, layer.absolute)
        )
    return Computed(values, _spread(layer, gathered, memories))


def _prepared(layer: Layer, operands: Int8) -> Int8:
    """Pooled and combined data `(processors, passes, rows, columns)` (semantics.md 1.1)."""
    x = np.moveaxis(operands, 2, 0)
    if layer.operands == 1:
        return _pool(layer, x[0])
    if layer.pool_first:
        return operators.combine(_pool(layer, x), layer.function)
    return _pool(layer, operators.combine(x, layer.function))


def _pool(layer: Layer, x: Int8) -> Int8:
    if layer.average:
        return operators.pool_average(x, layer.rows, layer.columns, layer.average_round)
    return operators.pool_maximum(x, layer.rows, layer.columns)


def _total(layer: Layer, x: Int8, memories: Memories) -> Int64:
    """The sums of products of every output, `(outputs, rows, columns)`."""
    if layer.operator is Operator.DEPTHWISE:
        weights = depthwise_weights(layer, memories.kernels)
        frame = _framed(layer, np.moveaxis(x, 0, 1))
        flat = np.moveaxis(weights, 0, 1).reshape(len(frame), -1)
        return operators.correlate_each(frame, flat, layer.rows.kernel, layer.columns.kernel)
    outputs = np.arange(output_count(layer))
    if layer.quad:
        groups = layer.processors // PROCESSORS_PER_GROUP
        return _interleaved(
            [
                _convolved(
                    layer, x[groups == r], layer.processors[groups == r], outputs[r::4], memories
                )
                for r in range(4)
            ]
        )
    used = np.isin(layer.processors, layer.summed)
    if layer.calcx4:
        parts = [
            _convolved(layer, x[used], layer.summed, outputs[r::4], memories) for r in range(4)
        ]
        return _interleaved(parts)
    return _convolved(layer, x[used], layer.summed, outputs, memories)


def _convolved(
    layer: Layer,
    x: Int8,
    processors: NDArray[np.intp],
    outputs: NDArray[np.intp],
    memories: Memories,
) -> Int64:
    weights = convolution_weights(layer, memories.kernels, processors, outputs)
    kernels = weights.reshape(len(outputs), len(processors) * layer.passes, layer.taps)
    return operators.correlate(_framed(layer, x), kernels, layer.rows.kernel, layer.columns.kernel)


def _framed(layer: Layer, x: Int8) -> Int8:
    """All channels `(processors * passes, rows, columns)` with padding."""
    channels = x.reshape(-1, *x.shape[2:])
    if layer.transposed:
        return operators.insert_zeros(channels, layer.rows, layer.columns)
    return operators.surround(channels, layer.rows, layer.columns)


def _interleaved(parts: list[Int64]) -> Int64:
    """Outputs 0, 4, 8... from the first part, 1, 5, 9... from the second and so on."""
    result = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), np.int64)
    for r, part in enumerate(parts):
        result[r::4] = part
    return result


def _spread(layer: Layer, gathered: Gathered, memories: Memories) -> Mask | None:
    """The output pixels that depend on an undetermined input word.

    Weights of 0 pass nothing on: dilated conv1d layers read such taps, and joined tensors have
    channels that no layer wrote beside those of their last pass.
    """
    if gathered.unknown is None:
        return None
    copies = layer.operator is Operator.COPY
    used = None if copies else _used_weights(layer, memories.kernels)
    met = gathered.unknown if used is None else gathered.unknown & _met(layer, gathered, used)
    pixels: Mask = np.asarray(met.any(axis=(0, 1)))
    pooled = operators.pool_maximum(pixels.astype(np.int8)[None], layer.rows, layer.columns)
    if used is None or not pooled.any():
        return pooled[0] != 0 if pooled.any() else None
    taps = np.asarray(used.any(axis=(0, 1))).astype(np.int8)[None]
    frame = _framed(layer, pooled[:, None])
    total = operators.correlate_each(frame, taps, layer.rows.kernel, layer.columns.kernel)
    return total[0] != 0 if total.any() else None


def _met(layer: Layer, gathered: Gathered, used: Mask) -> Mask:
    """The words `(memories, words of a pixel, 1, 1)` in which a channel meets a weight."""
    assert gathered.unknown is not None
    channels: Mask = np.asarray(used.any(axis=2))  # (processors, passes)
    if layer.chw:
        channels = np.asarray(channels.any(axis=1, keepdims=True))
    met: Mask = np.zeros((len(gathered.memories), channels.shape[1]), np.bool_)
    np.logical_or.at(met, np.searchsorted(gathered.memories, layer.processors // LANES), channels)
    operands = gathered.unknown.shape[1] // met.shape[1]
    return np.repeat(met, operands, axis=1)[:, :, None, None]


def _used_weights(layer: Layer, kernels: KernelMemory) -> Mask:
    """Where `(processors, passes, taps)` any kernel of the layer is not 0."""
    if layer.operator is Operator.DEPTHWISE:
        own: Mask = depthwise_weights(layer, kernels) != 0
        return own
    used: Mask = np.zeros((len(layer.processors), layer.passes, layer.taps), np.bool_)
    for r in range(4):
        outputs = np.arange(output_count(layer))[r::4]
        if outputs.size:
            weights = convolution_weights(layer, kernels, layer.processors, outputs)
            used |= (weights != 0).any(axis=0)
    return used
