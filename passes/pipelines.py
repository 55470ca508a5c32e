"""The named pipelines: which passes a level goes through, and why in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_FLOAT: Final[Sequence[tuple[str, str]]] = (
    ("remove-identities", "what does nothing would hide neighbours from the laws below"),
    ("fold-constants", "exporters compute shapes and weights in the graph"),
    (
        "eliminate-transposes",
        "layers and their neighbours meet again, whatever layout was exported",
    ),
    ("normalize-linear", "one form of layer for all matrix products, for the laws below"),
    ("normalize-pools", "a scale, a batch norm, an activation pass pools with windows only"),
    ("fold-scales", "before batch norms without a layer become one: they take in scales too"),
    ("fold-batch-norm", "a batch norm is a scale and a bias: the layer beside it has both"),
    ("eliminate-transposes", "no batch norm is left between flattened data and their matrix"),
    ("lower-scales", "what no layer took in is a layer, before the activation behind it looks"),
    ("fuse-activation", "one layer of the hardware rectifies on its way out"),
    ("fold-pads", "zeros never win beside rectified values: activations are in place now"),
    ("remove-dead-ops", "the passes above leave constants that nobody reads"),
)

_INTEGER: Final[Sequence[tuple[str, str]]] = (
    ("equalize-channels", "channels of like range lose least in one scale for all of them"),
    ("quantize", "scales are chosen on the final float layers, all at once"),
)

_LAYERS: Final[Sequence[tuple[str, str]]] = (
    ("raise-rank", "1-D networks are 2-D ones of one column: later steps know one form"),
    ("absorb-activation", "an activation is the last step of a layer, or needs one of its own"),
    ("densify-groups", "groups that the device has not, before windows get zeros of their own"),
    ("fit-transposed", "makes ordinary convolutions of some transposed ones"),
    ("trim-windows", "what sees no data would make windows large and paddings wide"),
    ("fold-input", "while the first convolution still has its stride"),
    ("fold-windows", "large windows that the input was not folded for"),
    ("fit-linear", "some windows are matrices now; it makes windows that fold data"),
    ("split-strides", "all other strides move into the layers behind"),
    ("fit-dilations", "distant values become rows, or padding of their own, for the steps below"),
    ("split-pools", "padding of pools becomes a layer, which the next pass fits"),
    ("fit-kernels", "last, since the passes above make windows and padding"),
    ("fit-joins", "cuts layers that are final, or copies slices"),
    ("fit-slices", "the passes above give more rows and columns than are wanted"),
    ("fuse-layers", "one layer for each op with weights; the rest joins the layers that read it"),
    ("widen-binary", "what layers store is known now, and how many columns that takes is not yet"),
    ("stop-after", "layers have their numbers now, and no place yet"),
    ("insert-copies", "a tensor that no layout serves for all its readers exists twice"),
    ("place-layers", "processors, offsets and kernel columns depend on each other: one search"),
    ("choose-modes", "processors are known; data and kernels still move for layers to run faster"),
    ("check-placement", "a second opinion follows every byte before registers are made of it"),
)

_REPLACE: Final[Sequence[tuple[str, str]]] = (
    ("forget-placement", "what follows chooses places for layers that have none"),
    ("insert-copies", "a tensor that no layout serves for all its readers exists twice"),
    ("place-layers", "processors, offsets and kernel columns depend on each other: one search"),
    ("choose-modes", "processors are known; data and kernels still move for layers to run faster"),
    ("check-rules", "the modes that the placement chose have rules of their own"),
    ("check-placement", "a second opinion follows every byte before registers are made of it"),
)


def _text(entries: Sequence[tuple[str, str]]) -> str:
    return ",".join(name for name, _ in entries)


PIPELINES: Final[Mapping[str, str]] = {
    "float": _text(_FLOAT),
    "integer": _text(_INTEGER),
    "layers": _text(_LAYERS),
    "replace": _text(_REPLACE),
}
"""Text of each pipeline by name; a pipeline may name them like passes."""
