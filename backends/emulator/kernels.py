"""Kernels and biases of a layer, read from the memories (registers.md 11.8, 11.9)."""

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Operator
from ai8xc.backends.emulator.memory import COLUMN_BYTES, KernelMemory, PlainMemory
from ai8xc.backends.emulator.operators import Int8, Int64

QUARTER_COLUMNS = 1024  # calcx4: one memory instance per output modulo 4
EXTENDED_FIRST = 4096  # behind it the instances of large processors,
EXTENDED_QUARTER = 256  # of this many columns each
BIAS_SCALE = 128


def output_count(layer: Layer) -> int:
    """How many outputs a convolution computes (registers.md 11.7).

    Outputs of the last pass without kernels do not exist; calcx4, quad and bypass layers count
    their kernels in other units and always fill every pass.
    """
    full = layer.output_columns * layer.output_passes
    if layer.calcx4 or layer.quad or layer.bypass:
        return full
    return min(full, -(-layer.kernels // layer.passes))


def convolution_weights(
    layer: Layer, memory: KernelMemory, processors: NDArray[np.intp], outputs: NDArray[np.intp]
) -> Int8:
    """Weights `(outputs, processors, passes, taps)` of some output numbers.

    In calcx4 and quad layers the outputs must agree modulo 4.
    """
    if layer.bypass or not len(outputs):  # quad: fewer than four outputs leave groups without any
        return np.ones((len(outputs), len(processors), layer.passes, layer.taps), np.int8)
    shared = layer.calcx4 or layer.quad
    order = outputs // 4 if shared else outputs
    numbers = order[:, None] * layer.passes + np.arange(layer.passes)
    quarter = int(outputs[0]) % 4 if layer.calcx4 else 0
    weights = _fetch(layer, memory, processors, numbers.reshape(-1), quarter)
    shape = (len(processors), len(outputs), layer.passes, layer.taps)
    return weights.reshape(shape).transpose(1, 0, 2, 3)


def depthwise_weights(layer: Layer, memory: KernelMemory) -> Int8:
    """Weights `(processors, passes, taps)`: kernel number = pass."""
    if layer.bypass:
        return np.ones((len(layer.processors), layer.passes, layer.taps), np.int8)
    return _fetch(layer, memory, layer.processors, np.arange(layer.passes), 0)


def _fetch(
    layer: Layer,
    memory: KernelMemory,
    processors: NDArray[np.intp],
    numbers: NDArray[np.intp],
    quarter: int,
) -> Int8:
    """Kernels `(processors, numbers, taps)`.

    The bytes of a column come from b[8] down to b[0]; a kernel enters last tap first.
    """
    bits, taps = layer.weight_bits, layer.taps
    position = layer.first_kernel + numbers * bits
    byte = position[:, None] // 8 * taps + layer.first_tap + (taps - 1 - np.arange(taps))
    if quarter:
        byte = byte + quarter * _quarter_step(byte) * COLUMN_BYTES
    first, last = int(byte.min()) // COLUMN_BYTES, int(byte.max()) // COLUMN_BYTES + 1
    block = memory.columns[processors, first:last, ::-1].reshape(len(processors), -1)
    missing = (last - first) * COLUMN_BYTES - block.shape[1]
    if missing:
        block = np.pad(block, ((0, 0), (0, missing)))
    values = block[:, byte - first * COLUMN_BYTES]
    if bits == 8:
        return values.view(np.int8)
    field = (values >> (position % 8).astype(np.uint8)[:, None]) & ((1 << bits) - 1)
    return _signed(field.astype(np.int8), bits, layer.binary)


def _quarter_step(byte: NDArray[np.intp]) -> NDArray[np.intp]:
    extended = byte >= EXTENDED_FIRST * COLUMN_BYTES
    return np.where(extended, EXTENDED_QUARTER, QUARTER_COLUMNS)


def _signed(field: Int8, bits: int, binary: bool) -> Int8:
    if binary:
        return (1 - 2 * field).astype(np.int8)
    sign = 1 << (bits - 1)
    return ((field ^ sign) - sign).astype(np.int8)


def output_bias(layer: Layer, memory: PlainMemory, outputs: int) -> Int64 | None:
    """`128 * bias` of every output of a layer, None when it adds no bias.

    Depthwise layers: `passes * processors` outputs, pass major.
    """
    groups = [g for g, offset in enumerate(layer.bias.offsets) if offset is not None]
    if not groups:
        return None
    if layer.operator is Operator.DEPTHWISE:
        group, byte = _depthwise_bytes(layer)
    else:
        group, byte = _bias_bytes(layer, groups[0], outputs)
    known = byte >= 0
    size = memory.words.shape[1]
    values = memory.words[group, np.clip(byte, 0, size - 1)].astype(np.uint8).view(np.int8)
    return np.where(known & (byte < size), values.astype(np.int64) * BIAS_SCALE, 0)


def _bias_bytes(
    layer: Layer, group: int, outputs: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    number = np.arange(outputs)
    if layer.quad:
        groups = number % 4
        start = np.array([-1 if b is None else b for b in layer.bias.offsets])[groups]
        return groups, np.where(start < 0, -1, start + number // 4)
    first = layer.bias.offsets[group] or 0
    if layer.calcx4:
        return np.full(outputs, group), 4 * first + number
    return np.full(outputs, group), first + layer.skip_bias + number


def _depthwise_bytes(layer: Layer) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    groups, inside = np.divmod(layer.processors, PROCESSORS_PER_GROUP)
    start = np.array([-1 if b is None else b for b in layer.bias.offsets])[groups]
    each = np.arange(layer.passes)[:, None]
    if layer.broadcast:
        byte = 4 * start + PROCESSORS_PER_GROUP * each + inside % 4 * 4 + inside // 4
    else:
        rank = ranks(layer.processors)
        enabled = np.bincount(groups)
        stride = np.where(groups == groups.max(), enabled[groups], PROCESSORS_PER_GROUP)
        byte = start + each * stride + rank
    byte = np.where(start < 0, -1, byte)
    return np.tile(groups, layer.passes), byte.reshape(-1)


def ranks(processors: NDArray[np.intp]) -> NDArray[np.intp]:
    """The position of each processor among the enabled ones of its group."""
    groups = processors // PROCESSORS_PER_GROUP
    first = np.searchsorted(groups, groups)
    return np.arange(len(processors)) - first
