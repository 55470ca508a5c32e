"""Mean average precision of detections at an overlap of one half, image by image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from ai8xc.training.detection import Detections
from ai8xc.training.detection.priors import overlaps

OVERLAP = 0.5


class _AveragePrecision(Metric):
    """Area under precision over recall for each class, and the mean of the classes."""

    scores: list[Tensor]
    right: list[Tensor]
    classes: list[Tensor]
    objects: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("scores", "right", "classes", "objects"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(
        self, found: Sequence[Detections], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> None:
        """Count the detections of some images, and the objects that are there."""
        for one, wanted, numbers in zip(found, boxes, labels, strict=True):
            self.scores.append(one.scores)
            self.classes.append(one.labels)
            self.right.append(matched(one, wanted, numbers))
            self.objects.append(numbers)

    def compute(self) -> Tensor:
        """Return the mean over all classes that occur."""
        scores, right, classes, objects = (
            torch.cat(rows) if isinstance(rows, list) else rows
            for rows in (self.scores, self.right, self.classes, self.objects)
        )
        found = [
            _area(scores[classes == c], right[classes == c], int((objects == c).sum()))
            for c in sorted(set(objects.tolist()))
        ]
        return torch.stack(found).mean() if found else torch.tensor(0.0)


def matched(found: Detections, boxes: Tensor, labels: Tensor) -> Tensor:
    """Return which detections of an image are right: the best one for each object, by score."""
    right = torch.zeros(len(found.scores), dtype=torch.bool, device=found.scores.device)
    if not len(boxes):
        return right
    overlap = overlaps(found.boxes[:, :4], boxes[:, :4])
    overlap[found.labels[:, None] != labels[None]] = 0
    taken = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    for index in found.scores.argsort(descending=True):
        best = int(overlap[index].argmax())
        if overlap[index, best] > OVERLAP and not taken[best]:
            right[index] = taken[best] = True
    return right


def _area(scores: Tensor, right: Tensor, objects: int) -> Tensor:
    """Return the area under the precision, made falling, over the recall."""
    order = scores.argsort(descending=True)
    hits = right[order].float().cumsum(0)
    if not len(hits):
        return torch.tensor(0.0)
    precision = hits / torch.arange(1, len(hits) + 1, device=hits.device)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return (envelope * right[order]).sum() / objects


def average_precision() -> Metric:
    """Return a new metric."""
    return _AveragePrecision()
