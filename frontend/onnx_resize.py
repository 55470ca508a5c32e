"""Resize and Upsample: imported where they repeat each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import MAX_VALUES
from ai8xc.frontend.node import Ints
from ai8xc.frontend.onnx_node import Converter, Node
from ai8xc.ir.core import Op
from ai8xc.ir.types import Array

BLOCK: Final = 2**16
"""Positions that are looked at together."""

HELP: Final = "upsample by repetition: nearest neighbour with whole factors"

_Coordinate = Callable[[Array, int, int], Array]
"""From positions in the result, its size and the old size to positions in the data."""

COORDINATES: Final[dict[str, _Coordinate]] = {
    "asymmetric": lambda i, new, old: i * old / new,
    "half_pixel": lambda i, new, old: (i + 0.5) * old / new - 0.5,
    "half_pixel_symmetric": lambda i, new, old: (i + 0.5) * old / new - 0.5,
    "pytorch_half_pixel": lambda i, new, old: (
        (i + 0.5) * old / new - 0.5 if new > 1 else np.zeros(1)
    ),
    "align_corners": lambda i, new, old: i * (old - 1) / (new - 1) if new > 1 else np.zeros(1),
    "tf_half_pixel_for_nn": lambda i, new, old: (i + 0.5) * old / new,
}
NEAREST: Final[dict[str, Callable[[Array], Array]]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def upsample(node: Node) -> Op:
    """Upsample of opset 9."""
    return _repetition(node, _scaled(node, node.array(1, "scales")), "asymmetric", "floor")


def resize(node: Node) -> Op:
    """Resize, by scales or by sizes."""
    if node.opset < 11:
        return _repetition(node, _scaled(node, node.array(1, "scales")), "asymmetric", "floor")
    coordinate = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    scales, sizes = node.array(2, "scales"), node.int_list(3, "sizes")
    if sizes:
        wanted = _on_axes(node, sizes, node.x().type.shape)
        if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise node.unsupported("a keep_aspect_ratio_policy", HELP)
    else:
        wanted = _scaled(node, scales)
    return _repetition(node, wanted, coordinate, nearest)


def _on_axes(node: Node, values: tuple[int, ...], default: Ints) -> Ints:
    """Return one value an axis: from opset 18 on they may be given for some axes only."""
    axes = node.integers("axes")
    where = [node.axis(a, len(default)) for a in axes or range(len(default))]
    if len(where) != len(values):
        raise node.malformed(f"{len(values)} sizes for {len(where)} axes")
    merged = list(default)
    for axis, value in zip(where, values, strict=True):
        merged[axis] = value
    return tuple(merged)


def _scaled(node: Node, scales: Array | None) -> Ints:
    """Return the shape of the result for scales, which must be whole."""
    if scales is None or scales.ndim != 1:
        raise node.malformed("there are neither scales nor sizes")
    whole = [float(scale) for scale in scales]
    if any(not 1 <= scale <= MAX_VALUES or scale != int(scale) for scale in whole):
        raise node.unsupported(f"scales = {whole}", HELP)
    shape = node.x().type.shape
    factors = _on_axes(node, tuple(int(scale) for scale in whole), (1,) * len(shape))
    return tuple(size * factor for size, factor in zip(shape, factors, strict=True))


def _repetition(node: Node, wanted: Ints, coordinate: str, nearest: str) -> Op:
    x = node.x()
    shape = x.type.shape
    if any(new % old or new > MAX_VALUES for new, old in zip(wanted, shape, strict=True)):
        raise node.unsupported(f"sizes = {list(wanted)} of {list(shape)}", HELP)
    if wanted == shape:
        return nn.Identity(x)
    if node.text("mode", "nearest") != "nearest":
        raise node.unsupported(f"mode = {node.text('mode', '')}", HELP)
    if len(shape) < 3 or wanted[:2] != shape[:2]:
        raise node.unsupported("scales of the batch or the channels")
    if coordinate not in COORDINATES or nearest not in NEAREST:
        raise node.unsupported(f"{coordinate} and {nearest}", HELP)
    repeated = nn.Resize(x, tuple(n // o for n, o in zip(wanted[2:], shape[2:], strict=True)))
    if prod(wanted) > MAX_VALUES:
        return repeated  # refused for its size, before memory is taken
    for old, new in zip(shape[2:], wanted[2:], strict=True):
        if not _repeats(COORDINATES[coordinate], NEAREST[nearest], new, old):
            raise node.unsupported(f"{coordinate} and {nearest}, which is not repetition", HELP)
    return repeated


def _repeats(
    coordinate: _Coordinate, nearest: Callable[[Array], Array], new: int, old: int
) -> bool:
    """Whether each value stands `new // old` times in the result, in its place."""
    for start in range(0, new, BLOCK):
        i = np.arange(start, min(start + BLOCK, new))
        taken = np.clip(nearest(coordinate(i, new, old)), 0, old - 1)
        if not np.array_equal(taken, i // (new // old)):
            return False
    return True


CONVERTERS: Final[Mapping[str, Converter]] = {"Resize": resize, "Upsample": upsample}
