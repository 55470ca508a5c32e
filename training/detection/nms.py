"""Objects from the outputs of a single-shot detector. Source: training facts, section 2.8."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ai8xc.training.detection.priors import decoded, overlaps, to_corners


@dataclass(frozen=True)
class Detections:
    """The objects of one image: corners (n, 4), classes (n,), probabilities (n,).

    Columns of `boxes` behind the corners are key points.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


@torch.no_grad()
def detect(
    locs: Tensor,
    scores: Tensor,
    priors: Tensor,
    *,
    min_score: float = 0.3,
    max_overlap: float = 0.3,
    top_k: int = 20,
) -> list[Detections]:
    """Return the objects of each image of a batch.

    `locs` is (batch, priors, 4), `scores` (batch, priors, classes) with background as class 0.
    Boxes of one class that overlap a better one by more than `max_overlap` are dropped. An image
    without objects has one of class 0 that fills it, with probability 0.
    """
    chances = scores.softmax(dim=2)
    found = []
    for offsets, chance in zip(locs, chances, strict=True):
        corners = torch.cat((to_corners(decoded(offsets[:, :4], priors)), offsets[:, 4:]), 1)
        found.append(_image(corners, chance, (min_score, max_overlap, top_k)))
    return found


def _image(corners: Tensor, chance: Tensor, limits: tuple[float, float, int]) -> Detections:
    min_score, max_overlap, top_k = limits
    boxes, labels, scores = [], [], []
    for number in range(1, chance.shape[1]):
        above = chance[:, number] > min_score
        order = chance[above, number].argsort(dim=0, descending=True)
        candidates, rated = corners[above][order], chance[above, number][order]
        kept = suppressed(candidates, max_overlap)
        boxes.append(candidates[kept])
        scores.append(rated[kept])
        labels.append(torch.full((int(kept.sum()),), number, device=corners.device))
    if not sum(map(len, boxes)):
        whole = functional.pad(
            corners.new_tensor([[0.0, 0.0, 1.0, 1.0]]), (0, corners.shape[1] - 4)
        )
        return Detections(whole, labels[0].new_zeros(1), corners.new_zeros(1))
    every = Detections(torch.cat(boxes), torch.cat(labels), torch.cat(scores))
    if len(every.scores) <= top_k:
        return every
    best = every.scores.argsort(dim=0, descending=True)[:top_k]
    return Detections(every.boxes[best], every.labels[best], every.scores[best])


def suppressed(boxes: Tensor, max_overlap: float) -> Tensor:
    """Return which boxes stay, given best first, when each drops those it overlaps too much."""
    overlap = overlaps(boxes[:, :4], boxes[:, :4])
    keep = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in range(len(boxes)):
        if keep[i]:
            keep[i + 1 :] &= overlap[i, i + 1 :] <= max_overlap
    return keep
