"""Where layers want the tensors that they read: beside, behind or between each other.

Source: memory description, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.passes.layers.limits import lanes_of, passes_of
from ai8xc.passes.placement.tensors import WORD


@dataclass(frozen=True)
class Slot:
    """Where a reader wants one of its tensors, relative to the first of them.

    `processors` and `bytes` are distances, `step` the words from one word of the tensor to the
    next; None: as it comes, the reader can leave out words.
    """

    processors: int
    bytes: int
    step: int | None


def slots_of(layer: ai8x.Layer, device: Device) -> list[Slot] | None:
    """Return a slot for each tensor, None where no layout serves the layer."""
    if layer.gather == "pixels" or layer.turn:
        return _stacked_slots(layer, device)
    operands = _operands(layer)
    if operands is None:
        return None
    channels = layer.in_shape[0]
    passes, parts = passes_of(channels, device), layer.parts
    found: list[Slot] = []
    for number, pieces in enumerate(operands):
        if len(pieces) == 1:
            free = parts == 1 and passes == 1 and _skips_words(layer, device)
            found.append(Slot(0, WORD * number, None if free else parts))
        elif passes == 1:
            start = 0
            for piece in pieces:
                found.append(Slot(start, WORD * number, parts))
                start += _aligned(piece.type.shape[1], device)
            if start > device.processors:
                return None
        else:
            turns = _turns(pieces, lanes_of(channels, device), device)
            if turns is None:
                return None
            for turn, lane in turns:
                found.append(Slot(lane, WORD * (turn * parts + number), passes * parts))
    return found


def _turns(pieces: Sequence[Op], lanes: int, device: Device) -> list[tuple[int, int]] | None:
    """Return pass and first processor of each part of a joined tensor of several passes.

    None where a part would lie in two passes, or share a word with the part before.
    """
    found, seen = [], 0
    for piece in pieces:
        turn, lane = divmod(seen, lanes)
        size = piece.type.shape[1]
        if lane % device.processors_per_memory or lane + size > lanes:
            return None
        found.append((turn, lane))
        seen += size
    return found


def _stacked_slots(layer: ai8x.Layer, device: Device) -> list[Slot]:
    count = len(layer.xs)
    if layer.turn:  # the passes of each tensor lie between those of the others
        return [Slot(0, WORD * number, count) for number in range(count)]
    found, at = [], 0
    for x in layer.xs:
        found.append(Slot(0, at, 1))
        _, channels, rows, columns = x.type.shape
        at += WORD * passes_of(channels, device) * rows * columns
    return found


def _aligned(channels: int, device: Device) -> int:
    step = device.processors_per_memory
    return -(-channels // step) * step


def _skips_words(layer: ai8x.Layer, device: Device) -> bool:
    if not device.has("read-gap") or isinstance(layer, ai8x.Linear):
        return False
    return not isinstance(layer, ai8x.Conv1d)


def _operands(layer: ai8x.Layer) -> list[list[Op]] | None:
    """Return the tensors of each operand; None where one tensor holds several operands."""
    channels = layer.in_shape[0]
    found: list[list[Op]] = [[]]
    filled = 0
    for x in layer.xs:
        if filled == channels:
            found.append([])
            filled = 0
        found[-1].append(x)
        filled += x.type.shape[1]
        if filled > channels:
            return None
    return found if len(found) == layer.parts else None
