"""What a network is trained for: the loss, the metrics, which epoch is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training.detection import MultiBoxLoss, detect
from ai8xc.training.rules import CONFIG, refused

if TYPE_CHECKING:
    from torchmetrics import Metric

    from ai8xc.training.data import DataSet
    from ai8xc.training.trainer.config import TrainConfig


class Goal(nn.Module):
    """The goal of a run. `score` names the metric that the best epoch has most of."""

    score = "accuracy"
    sign = 1.0

    def loss(self, outputs: Any, targets: Any, x: Tensor) -> Tensor:
        """Return the loss of a batch."""
        raise NotImplementedError

    def metrics(self) -> dict[str, Metric]:
        """Return new metrics, by name."""
        raise NotImplementedError

    def update(self, metrics: dict[str, Metric], outputs: Any, targets: Any, x: Tensor) -> None:
        """Count a batch."""
        raise NotImplementedError


class Classification(Goal):
    """One class for each sample, or for each pixel of it."""

    def __init__(self, info: DataSet) -> None:
        super().__init__()
        self.classes = len(info.labels)
        weight = None if info.weight is None else torch.tensor(info.weight)
        self.weight: Tensor | None
        self.register_buffer("weight", weight, persistent=False)

    def loss(self, outputs: Any, targets: Any, x: Tensor) -> Tensor:
        """Return the cross-entropy."""
        logits = unfolded(outputs, targets)
        return functional.cross_entropy(logits, targets, self.weight)

    def metrics(self) -> dict[str, Metric]:
        """Return accuracy, also of the five best classes, and the confusion matrix."""
        from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

        found: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(self.classes, average="micro"),
            "confusion": MulticlassConfusionMatrix(self.classes),
        }
        if self.classes > 5:
            found["top5"] = MulticlassAccuracy(self.classes, average="micro", top_k=5)
        return found

    def update(self, metrics: dict[str, Metric], outputs: Any, targets: Any, x: Tensor) -> None:
        """Count a batch."""
        logits = unfolded(outputs, targets)
        for metric in metrics.values():
            metric.update(logits, targets)


class Segmentation(Classification):
    """One class for each pixel; the mean overlap is told besides the accuracy."""

    def metrics(self) -> dict[str, Metric]:
        """Return accuracy, mean overlap and the confusion matrix."""
        from torchmetrics.classification import MulticlassJaccardIndex

        found = super().metrics()
        found.pop("top5", None)
        return {**found, "overlap": MulticlassJaccardIndex(self.classes)}


class Regression(Goal):
    """Real values, by the mean squared error."""

    score, sign = "mse", -1.0

    def loss(self, outputs: Any, targets: Any, x: Tensor) -> Tensor:
        """Return the mean squared error."""
        return functional.mse_loss(outputs, self.wanted(outputs, targets, x))

    def wanted(self, outputs: Tensor, targets: Tensor, x: Tensor) -> Tensor:
        """Return the targets in the shape of the outputs."""
        return targets.to(outputs.dtype).reshape(outputs.shape)

    def metrics(self) -> dict[str, Metric]:
        """Return the mean squared error."""
        from torchmetrics import MeanSquaredError

        return {"mse": MeanSquaredError()}

    def update(self, metrics: dict[str, Metric], outputs: Any, targets: Any, x: Tensor) -> None:
        """Count a batch."""
        metrics["mse"].update(outputs.contiguous(), self.wanted(outputs, targets, x).contiguous())


class Autoencoding(Regression):
    """The inputs themselves."""

    def wanted(self, outputs: Tensor, targets: Tensor, x: Tensor) -> Tensor:
        """Return the inputs in the shape of the outputs."""
        return x.to(outputs.dtype).reshape(outputs.shape)


class Detection(Goal):
    """Objects, by the MultiBox loss."""

    score = "map"

    def __init__(self, config: TrainConfig, net: nn.Module) -> None:
        super().__init__()
        self.config = config.detection
        priors = dict(net.named_buffers()).get("priors_cxcy")
        if priors is None:
            why = "a network for detection has a buffer `priors_cxcy` with its prior boxes"
            raise refused(CONFIG, field="model", why=why)
        self.multibox = MultiBoxLoss(
            priors, alpha=self.config.alpha, neg_pos_ratio=self.config.neg_pos_ratio
        )

    def loss(self, outputs: Any, targets: Any, x: Tensor) -> Tensor:
        """Return the MultiBox loss."""
        boxes, labels = targets
        found: Tensor = self.multibox(*outputs, boxes, labels)
        return found

    def metrics(self) -> dict[str, Metric]:
        """Return the mean average precision."""
        from ai8xc.training.trainer.precision import average_precision

        return {"map": average_precision()}

    def update(self, metrics: dict[str, Metric], outputs: Any, targets: Any, x: Tensor) -> None:
        """Count a batch."""
        locs, scores = outputs
        found = detect(
            locs,
            scores,
            self.multibox.priors,
            min_score=self.config.min_score,
            max_overlap=self.config.max_overlap,
            top_k=self.config.top_k,
        )
        metrics["map"].update(found, *targets)


def goal(config: TrainConfig, info: DataSet, net: nn.Module) -> Goal:
    """Return the goal of a run on a data set."""
    if info.task == "detection":
        return Detection(config, net)
    if info.task == "regression":
        return Regression()
    if info.task == "autoencoder":
        return Autoencoding()
    return Segmentation(info) if info.task == "segmentation" else Classification(info)


def unfolded(logits: Tensor, targets: Tensor) -> Tensor:
    """Return logits N x classes x ... in the size of the targets: a folded output is unfolded."""
    if targets.dim() < 2:
        return logits.flatten(1)
    ratio = targets.shape[-1] // logits.shape[-1]
    if ratio == 1:
        return logits
    n, c, h, w = logits.shape
    blocks = logits.reshape(n, ratio, ratio, c // ratio**2, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // ratio**2, h * ratio, w * ratio)


class Distillation(nn.Module):
    """The loss of a goal, and the difference to a teacher."""

    def __init__(self, config: TrainConfig, teacher: nn.Module) -> None:
        super().__init__()
        assert config.distillation is not None
        self.config = config.distillation
        self.teacher = teacher.eval().requires_grad_(False)

    def forward(self, loss: Tensor, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the loss of a batch for a student's outputs."""
        with torch.no_grad():
            wanted = self.teacher(x).flatten(1)
        if self.config.relation:
            distance = functional.mse_loss(outputs.flatten(1), wanted)
        else:
            t = self.config.temperature
            student = (outputs.flatten(1) / t).log_softmax(1)
            target = (wanted / t).log_softmax(1)
            distance = t**2 * functional.kl_div(
                student, target, reduction="batchmean", log_target=True
            )
        return self.config.student_weight * loss + self.config.distill_weight * distance


def real_outputs(outputs: Any, net_wide: Sequence[bool]) -> Any:
    """Return the integers of a simulating network as real numbers; wide ones count 2**-14."""
    if isinstance(outputs, Tensor):
        return outputs / (128 * 128 if net_wide[0] else 128)
    many = zip(outputs, net_wide, strict=True)
    return tuple(one / (128 * 128 if wide else 128) for one, wide in many)
