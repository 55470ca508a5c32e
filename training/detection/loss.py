"""The MultiBox loss of single-shot detectors. Source: training facts, section 2.8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training.detection.priors import encoded, overlaps, to_centres, to_corners

MATCH: Final = 0.5
"""A prior whose overlap with every object is smaller sees background, class 0."""


class MultiBoxLoss(nn.Module):
    """Confidence loss with hard negatives, and `alpha` times the location loss.

    Args:
        priors: (n, 4) as `cxcy`.
        alpha: weight of the location loss.
        neg_pos_ratio: negatives that count for each positive prior, the hardest ones.

    """

    priors: Tensor

    def __init__(self, priors: Tensor, *, alpha: float = 2.0, neg_pos_ratio: int = 3) -> None:
        super().__init__()
        self.register_buffer("priors", priors, persistent=False)
        self.alpha, self.neg_pos_ratio = alpha, neg_pos_ratio

    def forward(
        self, locs: Tensor, scores: Tensor, boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Tensor:
        """Return the loss of a batch.

        `locs` is (batch, priors, 4), `scores` (batch, priors, classes); `boxes` holds the corners
        of the objects of each image and `labels` their classes, from 1. Columns behind the first
        four of both `locs` and `boxes` are key points, x and y of each, relative to the image.
        """
        matched = [self.match(b, c) for b, c in zip(boxes, labels, strict=True)]
        targets = torch.stack([target for target, _ in matched])
        classes = torch.stack([found for _, found in matched])
        positive = classes != 0
        losses = functional.cross_entropy(scores.flatten(0, 1), classes.flatten(), reduction="none")
        losses = losses.view_as(classes)
        total = positive.sum()
        if not total:
            return losses.mean()
        location = sum(
            functional.smooth_l1_loss(found, wanted)
            for found, wanted in zip(_parts(locs[positive]), _parts(targets[positive]), strict=True)
        )
        hardest, _ = losses.masked_fill(positive, 0).sort(dim=1, descending=True)
        ranks = torch.arange(hardest.shape[1], device=hardest.device)
        counted = ranks[None] < self.neg_pos_ratio * positive.sum(dim=1, keepdim=True)
        confidence = (hardest[counted].sum() + losses[positive].sum()) / total
        return confidence + self.alpha * location

    def match(self, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets and class of each prior, for the objects of one image."""
        count = len(self.priors)
        if not len(boxes):
            return self.priors.new_zeros(count, boxes.shape[-1]), labels.new_zeros(count)
        overlap = overlaps(boxes[:, :4], to_corners(self.priors))
        best, object_of = overlap.max(dim=0)
        nearest = overlap.argmax(dim=1)
        object_of[nearest] = torch.arange(len(boxes), device=boxes.device)
        best[nearest] = 1.0
        classes = labels[object_of].masked_fill(best < MATCH, 0)
        found = boxes[object_of]
        offsets = encoded(to_centres(found[:, :4]), self.priors)
        return torch.cat((offsets, found[:, 4:]), 1), classes


def _parts(rows: Tensor) -> list[Tensor]:
    """Return the box and each key point of rows of locations."""
    return [rows[:, :4], *(rows[:, i : i + 2] for i in range(4, rows.shape[1], 2))]
