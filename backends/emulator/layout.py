"""Where the outputs of a layer go (registers.md 11.10)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Operator
from ai8xc.backends.emulator.kernels import ranks
from ai8xc.backends.emulator.memory import LANES

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Placement:
    """For each output: memory, word of its first pixel and byte lane; `step` words per pixel.

    `memory` can be 16 or more when a pointer leaves the chip.
    """

    memory: Numbers
    word: Numbers
    lane: Numbers
    step: int
    wide: bool


def placement(layer: Layer, pointer_shift: int, outputs: int) -> Placement:
    """The place of each output, in the order of `LayerTrace.output`."""
    if layer.operator is Operator.COPY:
        return _copied(layer, pointer_shift)
    if layer.operator is Operator.DEPTHWISE:
        return _depthwise(layer, pointer_shift)
    return _convolved(layer, pointer_shift, outputs)


def _convolved(layer: Layer, pointer_shift: int, outputs: int) -> Placement:
    output_pass, column = np.divmod(np.arange(outputs), layer.output_columns)
    slot, lane = np.divmod(column, LANES)
    memory, word = _split(layer.write_pointers[layer.master], pointer_shift)
    step_memory, step_word = _split(layer.memory_step, pointer_shift)
    words = word + slot * step_word + output_pass * layer.pass_step
    if layer.wide:
        words = words + lane
    step = layer.increment * (LANES if layer.wide else 1)
    return Placement(memory + slot * step_memory, words, lane, step, layer.wide)


def _copied(layer: Layer, pointer_shift: int) -> Placement:
    """One output per pass and processor; the increment counts every written word."""
    passes = layer.output_passes
    memory, word, lane = _slots(layer, pointer_shift)
    words = word + np.arange(passes)[:, None] * layer.increment
    step = passes * layer.increment
    return _repeated(memory, words, lane, passes, step)


def _depthwise(layer: Layer, pointer_shift: int) -> Placement:
    passes = layer.passes
    if layer.broadcast:
        memory, lane = np.divmod(layer.processors, LANES)
        _, start = _split(layer.write_pointers[layer.master], pointer_shift)
        word = np.full(len(layer.processors), start)
    else:
        memory, word, lane = _slots(layer, pointer_shift)
    words = word + np.arange(passes)[:, None] * layer.pass_step
    return _repeated(memory, words, lane, passes, layer.increment)


def _slots(layer: Layer, pointer_shift: int) -> tuple[Numbers, Numbers, Numbers]:
    """Memory, word and lane by the rank of each processor in its group."""
    slot, lane = np.divmod(ranks(layer.processors), LANES)
    pointers = np.array(layer.write_pointers)[layer.processors // PROCESSORS_PER_GROUP]
    step_memory, step_word = _split(layer.slot_step, pointer_shift)
    memory = (pointers >> pointer_shift) + slot * step_memory
    word = (pointers & ((1 << pointer_shift) - 1)) + slot * step_word
    return memory, word, lane


def _repeated(memory: Numbers, words: Numbers, lane: Numbers, passes: int, step: int) -> Placement:
    return Placement(np.tile(memory, passes), words.reshape(-1), np.tile(lane, passes), step, False)


def _split(pointer: int, pointer_shift: int) -> tuple[int, int]:
    return pointer >> pointer_shift, pointer & ((1 << pointer_shift) - 1)
