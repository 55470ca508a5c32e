"""Single-shot object detection: priors, MultiBox loss, detections."""

from ai8xc.training.detection.loss import MultiBoxLoss
from ai8xc.training.detection.nms import Detections, detect
from ai8xc.training.detection.priors import PRIORS, Priors

__all__ = ["PRIORS", "Detections", "MultiBoxLoss", "Priors", "detect"]
