"""Large inputs made of a few words, as the vendor's tool derives them."""

from __future__ import annotations

import numpy as np

from ai8xc.ir.diag import Rejected
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.types import Array
from ai8xc.rules.description.of_samples import INP_SYNTH

_LANES = 4


def synthesized(sample: Array, step: int, words: int, *, fifo: bool) -> Array:
    """Return a sample whose pixels repeat, `step` added to each word of `words` words before.

    A word holds the channels of a pixel (C x H x W, up to four channels); raises `Rejected`, also
    where no FIFO takes the words as they are made.
    Source: memory layout reference, section 5.
    """
    channels = sample.shape[0] if sample.ndim else 0
    pixels = sample.reshape(channels, -1).T.astype(np.int64) if channels else sample
    if not 1 <= channels <= _LANES or words < 1 or len(pixels) % words:
        why = f"{channels} channels of {len(pixels)} pixels, {words} words"
        raise Rejected([INP_SYNTH.at(UNKNOWN, why=why)], unusable=True)
    if not fifo:
        why = "the words are made while a FIFO takes them: add `--fifo`"
        raise Rejected([INP_SYNTH.at(UNKNOWN, why=why)], unusable=True)
    bits = 8 * np.arange(channels)
    first = ((pixels[:words] & 0xFF) << bits).sum(axis=1)
    turns = np.arange(len(pixels) // words)[:, None] * step
    every = (first[None, :] + turns).reshape(-1, 1)
    lanes = (every >> bits) & 0xFF
    return np.asarray(lanes.astype(np.uint8).view(np.int8).T.reshape(sample.shape))
