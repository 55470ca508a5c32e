"""The architectures that come with the package. Source: training facts, section 6.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import nn

from ai8xc.training.models import detectors, maps, residual
from ai8xc.training.models.chains import CHAINS
from ai8xc.training.models.notation import Chain, Numbers
from ai8xc.training.models.parts import device_part, programs

__all__ = ["MODELS", "ModelInfo", "device_part", "programs"]

Factory = Callable[[Numbers], nn.Module]


@dataclass(frozen=True)
class ModelInfo:
    """An architecture: how it is built, for which input, classes and device it was made."""

    make: Factory
    shape: tuple[int, ...]
    classes: int
    device: str = "max78000"
    bias: bool = True

    def build(
        self, classes: int | None = None, channels: int | None = None, *, bias: bool | None = None
    ) -> nn.Module:
        """Return the network; needs a surrounding `layers.use_device`."""
        return self.make(
            Numbers(
                self.classes if classes is None else classes,
                self.shape[0] if channels is None else channels,
                self.bias if bias is None else bias,
            )
        )


def _chain(name: str) -> Factory:
    return partial(Chain, CHAINS[name])


def _single_shot(name: str) -> Factory:
    return partial(detectors.SingleShot, name)


def _mobile(*widths: int, depthwise: bool = False) -> Factory:
    *stages, head = widths
    rows = residual.cifar_stages(*stages)
    return partial(residual.MobileNetV2, rows=rows, head=head, pool=4, depthwise=depthwise)


_DIGIT, _CIFAR, _SOUND = (1, 28, 28), (3, 32, 32), (128, 128)

MODELS: Final[Mapping[str, ModelInfo]] = {
    "ai85net5": ModelInfo(_chain("ai85net5"), _DIGIT, 10, bias=False),
    "ai85netextrasmall": ModelInfo(_chain("ai85netextrasmall"), _DIGIT, 10, bias=False),
    "ai85netwide": ModelInfo(_chain("ai85netwide"), _DIGIT, 10, bias=False),
    "ai85net80wide": ModelInfo(_chain("ai85net80wide"), _DIGIT, 10, bias=False),
    "ai85net80expansion": ModelInfo(_chain("ai85net80expansion"), _DIGIT, 10, bias=False),
    "ai85net6": ModelInfo(_chain("ai85net6"), _DIGIT, 10, bias=False),
    "ai85squeezenet": ModelInfo(residual.SqueezeNet, _CIFAR, 10, bias=False),
    "ai85nascifarnet": ModelInfo(_chain("ai85nascifarnet"), _CIFAR, 100),
    "ai85simplenet": ModelInfo(_chain("ai85simplenet"), _CIFAR, 100),
    "ai85simplenetwide2x": ModelInfo(_chain("ai85simplenetwide2x"), _CIFAR, 100),
    "ai85ressimplenet": ModelInfo(residual.ResSimpleNet, _CIFAR, 100, bias=False),
    "ai85kws20net": ModelInfo(_chain("ai85kws20net"), _SOUND, 21, bias=False),
    "ai85kws20netv2": ModelInfo(_chain("ai85kws20netv2"), _SOUND, 21, bias=False),
    "ai85kws20netv2batchnorm": ModelInfo(_chain("ai85kws20netv2batchnorm"), _SOUND, 21),
    "ai85kws20netv3": ModelInfo(_chain("ai85kws20netv3"), _SOUND, 21),
    "ai87kws20netv3": ModelInfo(_chain("ai87kws20netv3"), _SOUND, 21, "max78002"),
    "ai85kws20netnas": ModelInfo(_chain("ai85kws20netnas"), _SOUND, 21),
    "ai85afsknet": ModelInfo(_chain("ai85afsknet"), (1, 22), 2),
    "ai85cdnet": ModelInfo(_chain("ai85cdnet"), (3, 128, 128), 2),
    "ai85faceidnet": ModelInfo(_chain("ai85faceidnet"), (3, 160, 120), 512),
    "ai85faceidnet_112": ModelInfo(residual.FaceId112, (3, 112, 112), 64),
    "ai87netmobilefacenet_112": ModelInfo(residual.MobileFaceNet, (3, 112, 112), 64, "max78002"),
    "ai85tinierssd": ModelInfo(_single_shot("tinierssd"), (3, 74, 74), 11),
    "ai85tinierssdface": ModelInfo(_single_shot("tinierssdface"), (3, 224, 168), 2),
    "ai85tinierssdqr": ModelInfo(_single_shot("tinierssdqr"), (3, 120, 160), 2),
    "ai87fpndetector": ModelInfo(detectors.FeaturePyramid, (3, 256, 320), 21, "max78002"),
    "ai85unetsmall": ModelInfo(partial(maps.UNet, "ai85unetsmall"), (3, 80, 80), 4),
    "ai85unetmedium": ModelInfo(partial(maps.UNet, "ai85unetmedium"), (3, 80, 80), 4),
    "ai85unetlarge": ModelInfo(partial(maps.UNet, "ai85unetlarge"), (48, 88, 88), 4),
    "ai85autoencoder": ModelInfo(maps.AutoEncoder, (256, 3), 1),
    "ai85actiontcn": ModelInfo(residual.ActionTcn, (96, 60, 60), 5),
    "bayer2rgbnet": ModelInfo(_chain("bayer2rgbnet"), (4, 64, 64), 3, "max78002", bias=False),
    "ai87netmobilenetv2": ModelInfo(
        partial(residual.MobileNetV2, rows=residual.IMAGENET, head=1280, pool=7),
        (3, 224, 224),
        1000,
        "max78002",
    ),
    "ai87netmobilenetv2cifar100": ModelInfo(
        _mobile(32, 16, 24, 32, 64, 128, 128, 256, 1024), _CIFAR, 100, "max78002"
    ),
    "ai87netmobilenetv2cifar100_m0_75": ModelInfo(
        _mobile(24, 12, 20, 24, 48, 72, 120, 240, 960), _CIFAR, 100, "max78002"
    ),
    "ai87netmobilenetv2cifar100_m0_5": ModelInfo(
        _mobile(16, 8, 12, 16, 32, 48, 80, 160, 640, depthwise=True), _CIFAR, 100, "max78002"
    ),
    "ai87effnetv2": ModelInfo(
        partial(residual.EfficientNet, blocks=residual.CIFAR_BLOCKS, pool=16),
        _CIFAR,
        100,
        "max78002",
    ),
    "ai87imageneteffnetv2": ModelInfo(
        partial(residual.EfficientNet, blocks=residual.IMAGENET_BLOCKS, pool=14),
        (3, 112, 112),
        1000,
        "max78002",
    ),
    "ai85nasnet_sequential_cifar100": ModelInfo(
        _chain("ai85nasnet_sequential_cifar100"), _CIFAR, 100
    ),
    "ai85nasnet_sequential_kws20": ModelInfo(_chain("ai85nasnet_sequential_kws20"), _SOUND, 21),
    "digitsnet": ModelInfo(_chain("digitsnet"), (1, 8, 8), 10),
    "digitsautoencoder": ModelInfo(_chain("digitsautoencoder"), (1, 8, 8), 1),
    "watchnet": ModelInfo(_chain("watchnet"), (6, 128), 7),
}
