"""Which layers may run faster, and what that is worth: reading ahead, four outputs at once.

The rules allow both modes for more layers than are chosen here: chosen are the forms that programs
of the vendor show (and CHW data for four outputs at once, which concern kernels only). No cycles
are known of MAX78002, so layers are ranked by the work that a mode hides: words read, or outputs
computed. Source: hardware semantics, sections 2.11, 2.12 and 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Final, TypeVar

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph
from ai8xc.passes.layers.limits import lanes_of, passes_of
from ai8xc.passes.placement.columns import MEMORIES

WINDOW: Final = (3, 3)

ATTEMPTS: Final = 40
"""How often it is tried to fit some layers more."""

T = TypeVar("T")
R = TypeVar("R")


def ahead(graph: Graph, device: Device) -> list[ai8x.Layer]:
    """Return the layers that may read the next data while they compute, most to read first.

    Not those that a FIFO feeds, nor readers of CHW data or of words with gaps.
    """
    layers = ai8x.layers(graph.ops)
    fed = layers[0] if Settings.of(graph).fifo else None
    found = [
        layer
        for layer in layers
        if _shown(layer) and layer is not fed and not layer.mode.chw and not _gap(layer)
    ]
    return sorted(found, key=lambda layer: -_words_read(layer, device))


def four_at_once(graph: Graph, device: Device) -> list[ai8x.Layer]:
    """Return the layers that may compute four outputs at once, most to compute first.

    All four fill a word of the output, so they lie on adjacent processors from a multiple of four
    on; with several output passes all processors are in use (register description, section 1.2).
    """
    if device.kernel_columns < MEMORIES * device.kernel_instance_columns:
        return []
    settings, layers = Settings.of(graph), ai8x.layers(graph.ops)
    found = [
        layer
        for layer in layers
        if _shown(layer) and _by_fours(layer, device) and not (settings.fifo and layer is layers[0])
    ]
    return sorted(found, key=lambda layer: -outputs_computed(layer, device))


def outputs_computed(layer: ai8x.Layer, device: Device) -> int:
    """Return the outputs of all pixels and input passes."""
    return prod(layer.type.shape) * passes_of(layer.in_shape[0], device)


def most(
    wanted: Sequence[T], fit: Callable[[Sequence[T]], R | None]
) -> tuple[Sequence[T], R | None]:
    """Return as many of `wanted` as fit together, the first ones first, and how they fit.

    What does not fit as a whole is tried in halves, up to a number of attempts.
    """
    chosen: list[T] = []
    best: R | None = None
    waiting, attempts = [list(wanted)], 0
    while waiting and attempts < ATTEMPTS:
        group = waiting.pop()
        if not group:
            continue
        attempts += 1
        found = fit([*chosen, *group])
        if found is not None:
            chosen, best = [*chosen, *group], found
        elif len(group) > 1:
            half = len(group) // 2
            waiting += [group[half:], group[:half]]
    return chosen, best


def _shown(layer: ai8x.Layer) -> bool:
    """Whether the layer is a 3x3 convolution of all channels of one operand, to bytes."""
    if not isinstance(layer, ai8x.Conv2d) or layer.kernel != WINDOW or layer.groups > 1:
        return False
    plain = layer.parts == 1 and not layer.bypass and layer.type.element == "i8"
    return plain and set(layer.dilation) <= {1}


def _gap(layer: ai8x.Layer) -> bool:
    return layer.place is not None and layer.place.read_gap > 0


def _by_fours(layer: ai8x.Layer, device: Device) -> bool:
    outputs = layer.type.shape[1]
    lanes = lanes_of(outputs, device)
    single = passes_of(outputs, device) == 1
    return lanes % MEMORIES == 0 and (single or outputs % device.processors == 0)


def _words_read(layer: ai8x.Layer, device: Device) -> int:
    """Words that each memory reads: those of a pooling window for each of its results."""
    window = prod(layer.pool.kernel) if layer.pool else 1
    return prod(layer.pooled_shape[1:]) * window * passes_of(layer.in_shape[0], device)
