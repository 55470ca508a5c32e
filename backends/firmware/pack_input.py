"""Input words of a project for a sample: what `load_input` copies or pushes.

Source: register description, sections 5.6 and 6.5; memory description, section 3.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.prove import real_sample, to_stored
from ai8xc.ir.types import Array, TensorType

LANES = 4
STEPS = 128
FAR = 4
"""Real values this many times outside the range of the input are a mistake."""
PROCESSORS_PER_GROUP = 16

BAD_INPUT = declare(
    "FW004",
    "the input cannot be used: {why}",
    """An input of a compiled project is an `.npy` file with the shape that the model's input has
    without the batch axis. Integers count steps of 1/128, floats are in the range of the model.""",
)


def pack_input(layout: dict[str, Any], sample: Array) -> dict[int, Array]:
    """Return the words by table number; `sample` is int8 of the shape that `stored` returns."""
    channels = _folded(sample, layout["fold"])
    processors = [p for p in range(64) if int(layout["processors"], 16) >> p & 1]
    if layout["format"] == "CHW":
        words = [_bytes_as_words(plane) for plane in channels]
        return dict(zip(_numbers(layout, processors), words, strict=True))
    if layout["fifos"]:
        return _quads(layout, processors, channels)
    return _pixels(layout["parts"], processors, channels)


def stored(layout: dict[str, Any], sample: Array) -> Array:
    """Return a sample as int8, channels x rows x columns; raises `Rejected` where it is unfit."""
    fold_rows, fold_columns = layout["fold"]
    shape = [int(n) for n in layout["shape"]]
    rows, columns = (*shape[1:], 1)[:2]
    wanted = (shape[0] // (fold_rows * fold_columns), rows * fold_rows, columns * fold_columns)
    if sample.dtype.kind not in "fiu" or not np.isfinite(sample).all():
        raise bad_input("it must hold finite numbers")
    flat: tuple[int, ...] = wanted[:-1] if columns * fold_columns == 1 else wanted
    if "loaded_from" in layout:  # the model has another shape than what is loaded
        flat = tuple(int(n) for n in layout["loaded_from"])
    if sample.shape not in (wanted, flat):
        raise bad_input(f"its shape is {sample.shape}, the input's is {flat}")
    kind = TensorType((1, *wanted), "i8", scale=layout["scale"] or None)
    _check_range(sample, kind.scale or 1 / 128)
    return to_stored(real_sample(sample.reshape(wanted)), kind)


def _check_range(sample: Array, scale: float) -> None:
    """Refuse values that cannot be meant: a little outside is cut off, as in training."""
    low, high = (float(sample.min()), float(sample.max())) if sample.size else (0.0, 0.0)
    if sample.dtype.kind in "iu":
        if low < -STEPS or high >= STEPS:
            told = f"its integers go from {low:.0f} to {high:.0f}"
            raise bad_input(f"{told}, those of the input from -128 to 127")
    elif max(-low, high) > FAR * STEPS * scale:
        ends = f"{-STEPS * scale:.3g} to {(STEPS - 1) * scale:.3g}"
        raise bad_input(f"its values go from {low:.3g} to {high:.3g}, the input's range is {ends}")


def bad_input(why: str) -> Rejected:
    """Return the rejection of an input."""
    return Rejected([BAD_INPUT.at(UNKNOWN, why=why)], unusable=True)


def _folded(sample: Array, fold: list[int]) -> Array:
    """Return channels x pixels; channel (c * s + i) * s + j takes row i and column j of a cell."""
    channels, rows, columns = sample.shape
    down, across = fold
    cells = sample.reshape(channels, rows // down, down, columns // across, across)
    ordered = cells.transpose(0, 2, 4, 1, 3)
    return ordered.reshape(channels * down * across, -1)


def _numbers(layout: dict[str, Any], processors: list[int]) -> list[int]:
    """Return the table of each channel of a CHW input."""
    if layout["fifos"]:
        return list(layout["fifos"])
    return [processor // LANES * LANES for processor in processors]


def _pixels(parts: int, processors: list[int], channels: Array) -> dict[int, Array]:
    """Return a word for each pixel, pass and operand, for each memory."""
    lanes, pixels = len(processors), channels.shape[1]
    each = len(channels) // parts
    passes = -(-each // lanes)
    full = np.zeros((parts, passes * lanes, pixels), np.int8)
    full[:, :each] = channels.reshape(parts, each, pixels)
    ordered = full.reshape(parts, passes, lanes, pixels).transpose(2, 3, 1, 0).reshape(lanes, -1)
    words = {}
    for memory in sorted({processor // LANES for processor in processors}):
        filled = np.zeros((LANES, ordered.shape[1]), np.int8)
        for rank, processor in enumerate(processors):
            if processor // LANES == memory:
                filled[processor % LANES] = ordered[rank]
        words[memory * LANES] = _lanes_as_words(filled)
    return words


def _quads(layout: dict[str, Any], processors: list[int], channels: Array) -> dict[int, Array]:
    """Return a word for four channels of each pixel, for each FIFO."""
    words = {}
    for position, fifo in enumerate(layout["fifos"]):
        filled = np.zeros((LANES, channels.shape[1]), np.int8)
        for lane, plane in enumerate(channels[LANES * position : LANES * (position + 1)]):
            if PROCESSORS_PER_GROUP * fifo + lane in processors:
                filled[lane] = plane
        words[int(fifo)] = _lanes_as_words(filled)
    return words


def _lanes_as_words(lanes: Array) -> Array:
    """Return words of four bytes, lane 0 in the lowest bits."""
    return np.ascontiguousarray(lanes.T.astype(np.int8)).view("<u4").reshape(-1).astype(np.uint32)


def _bytes_as_words(plane: Array) -> Array:
    padded = np.pad(plane.astype(np.int8), (0, -len(plane) % LANES))
    return _lanes_as_words(padded.reshape(-1, LANES).T)
