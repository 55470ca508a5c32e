"""The sample input that a program is built and checked with."""

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ai8xc.ir.types import Array


@dataclass(frozen=True, eq=False)
class Sample:
    """Real values for each input of the network, with a batch axis of 1."""

    values: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class SampleSums:
    """Checksums of what each hardware layer, by its number, gives for the sample.

    There is one CRC-32 for each channel: they tell where a run first went wrong.
    """

    channels: Mapping[int, tuple[int, ...]]


def channel_sums(output: Array) -> tuple[int, ...]:
    """Return the CRC-32 of each channel of an output, channels x rows x columns."""
    return tuple(crc32(np.ascontiguousarray(plane).tobytes()) for plane in output)
