"""Prior boxes of a single-shot detector, and offsets of boxes from them.

Coordinates are relative to the image. `cxcy` boxes are centre and size, `xy` boxes are corners.
Source: training facts, section 2.8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import torch
from torch import Tensor

CENTRE_VARIANCE: Final = 10.0
SIZE_VARIANCE: Final = 5.0
_SMALL: Final = 1e-7


@dataclass(frozen=True)
class Priors:
    """The prior boxes of a detector: sizes of its maps, one scale for each, common ratios.

    `enlarged` are factors of the scale, all of which each ratio has.
    """

    maps: tuple[tuple[int, int], ...]
    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    enlarged: tuple[float, ...] = (1.0,)

    @property
    def count(self) -> int:
        """Number of boxes."""
        return sum(h * w for h, w in self.maps) * len(self.ratios) * len(self.enlarged)

    def boxes(self) -> Tensor:
        """Return all boxes, (count, 4) as `cxcy`: maps, rows, columns, ratios, then sizes."""
        rows: list[tuple[float, float, float, float]] = []
        for (height, width), scale in zip(self.maps, self.scales, strict=True):
            for i in range(height):
                for j in range(width):
                    centre = (j + 0.5) / width, (i + 0.5) / height
                    for ratio, factor in product(self.ratios, self.enlarged):
                        root, size = math.sqrt(ratio), scale * factor
                        rows.append((*centre, size * root, size / root))
        return torch.tensor(rows, dtype=torch.float32).clamp(0, 1)


def to_corners(cxcy: Tensor) -> Tensor:
    """Return boxes by their corners."""
    half = cxcy[..., 2:] / 2
    return torch.cat((cxcy[..., :2] - half, cxcy[..., :2] + half), -1)


def to_centres(xy: Tensor) -> Tensor:
    """Return boxes by their centre and size."""
    return torch.cat(((xy[..., 2:] + xy[..., :2]) / 2, xy[..., 2:] - xy[..., :2]), -1)


def encoded(cxcy: Tensor, priors: Tensor) -> Tensor:
    """Return the offsets of boxes from their priors, as a network learns them."""
    centres = (cxcy[..., :2] - priors[..., :2]) / (priors[..., 2:] / CENTRE_VARIANCE)
    sizes = torch.log(cxcy[..., 2:] / priors[..., 2:] + _SMALL) * SIZE_VARIANCE
    return torch.cat((centres, sizes), -1)


def decoded(offsets: Tensor, priors: Tensor) -> Tensor:
    """Return the boxes (`cxcy`) that offsets from priors mean."""
    centres = offsets[..., :2] * priors[..., 2:] / CENTRE_VARIANCE + priors[..., :2]
    sizes = torch.exp(offsets[..., 2:] / SIZE_VARIANCE) * priors[..., 2:]
    return torch.cat((centres, sizes), -1)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Return intersection over union of each box of `a` (n, 4) with each of `b` (m, 4), corners."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)


def _square(sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((size, size) for size in sizes)


_FOUR_SCALES: Final = (0.15, 0.35, 0.55, 0.725)

PRIORS: Final[dict[str, Priors]] = {
    "tinierssd": Priors(_square((18, 9, 4, 2)), _FOUR_SCALES, (0.85, 0.6, 0.4, 0.25)),
    "tinierssdface": Priors(((28, 21), (7, 5)), (0.35715, 0.7143), (0.9, 0.75)),
    "tinierssdqr": Priors(((15, 20), (7, 10), (3, 5), (1, 2)), _FOUR_SCALES, (2.0, 1.2, 0.8, 0.5)),
    "fpndetector": Priors(
        ((32, 40), (16, 20), (8, 10), (4, 5)),
        (0.1, 0.2, 0.4, 0.8),
        (0.5, 1.0, 2.0),
        (1.0, 2**0.5),
    ),
}
