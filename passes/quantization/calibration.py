"""Inputs that show the quantiser which values occur: the user's, or made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ai8xc.ir.core import Graph, Input
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.types import Array, storage
from ai8xc.passes.quantization.rules import BAD_CALIBRATION

FEWEST: Final = 12
"""Samples that `synthetic` makes at least: each kind of it a few times."""

VALUES: Final = 40_000
"""Values of the largest tensor up to which it makes more: small networks show less in each."""

MOST: Final = 256
"""Samples that are looked at; more change the statistics little and take long."""


@dataclass(frozen=True)
class Calibration:
    """Real samples: for each input of the network, by name, an array samples x input shape."""

    arrays: Mapping[str, Array]

    def check(self, graph: Graph) -> Iterator[Diagnostic]:
        """Yield what makes the data unusable for this graph."""
        counts = set()
        for source in graph.inputs:
            array = self.arrays.get(source.name)
            if array is None:
                why = f"have no array for input `{source.name}`"
            elif array.shape[1:] != source.type.shape[1:] or not len(array):
                shape, wanted = array.shape, ("N", *source.type.shape[1:])
                why = f"for `{source.name}` are {_dims(shape)}, needed is {_dims(wanted)}"
            elif not np.isfinite(array).all():
                why = f"for `{source.name}` are not all finite"
            else:
                counts.add(len(array))
                continue
            yield BAD_CALIBRATION.at(source, why=why)
        if len(counts) > 1:
            yield BAD_CALIBRATION.at(UNKNOWN, why="have a different number of samples by input")

    def samples(self, graph: Graph) -> dict[str, Array]:
        """Return at most `MOST` samples, evenly taken, in the inputs' element types."""
        taken = {}
        for source in graph.inputs:
            array = self.arrays[source.name]
            picks = np.linspace(0, len(array) - 1, min(MOST, len(array))).round().astype(int)
            taken[source.name] = array[picks].astype(storage(source.type.element))
        return taken


def _dims(shape: tuple[object, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def synthetic(graph: Graph, scales: Mapping[str, float]) -> dict[str, Array]:
    """Return made-up samples for every input, the same on each call.

    `scales` are the real values of one step by input; samples fill -128..127 steps. They are of
    four kinds, since networks answer most to one of them: noise, patches of a few pixels, patches
    at the two ends of the range only, and few bright patches on dark ground.
    """
    stream = np.random.RandomState(0)  # a stream that numpy keeps for ever
    largest = max(op.type.size for op in graph.ops)
    count = min(max(FEWEST, VALUES // largest), MOST)
    return {x.name: _made_up(x, scales[x.name], count, stream) for x in graph.inputs}


def _made_up(source: Input, scale: float, count: int, stream: np.random.RandomState) -> Array:
    shape = source.type.shape[1:]
    rows = [_sample(kind % 4, shape, stream) for kind in range(count)]
    steps = np.clip(np.round(np.stack(rows) * 128), -128, 127)
    real = steps if not source.type.is_float else steps * scale
    return real.astype(storage(source.type.element))


def _sample(kind: int, shape: tuple[int, ...], stream: np.random.RandomState) -> Array:
    """Return one sample in -1..1."""
    if kind == 0:
        return stream.uniform(-1, 1, shape)
    patches = _patches(shape, stream)
    if kind == 1:
        return patches
    threshold = 0.0 if kind == 2 else 0.6
    return np.where(patches > threshold, 1.0, -1.0)


def _patches(shape: tuple[int, ...], stream: np.random.RandomState) -> Array:
    """Return noise that is constant over patches of 2 to 4 samples along each spatial axis."""
    size = int(stream.randint(2, 5))
    lead, space = shape[:1], shape[1:]
    coarse = stream.uniform(-1, 1, (*lead, *(-(-n // size) for n in space)))
    for axis, n in enumerate(space, 1):
        coarse = np.repeat(coarse, size, axis=axis).take(np.arange(n), axis=axis)
    return coarse
