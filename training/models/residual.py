"""Architectures with additions: residual networks, MobileNets, EfficientNets, an action network.

Names of layers are those of the vendor's checkpoints. Source: training facts, sections 1.8, 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training import layers
from ai8xc.training.models.chains import SIMPLE, simple
from ai8xc.training.models.notation import Numbers, Table, initialize
from ai8xc.training.models.parts import Hosted, Part, Shape


class ResSimpleNet(Table):
    """ai85ressimplenet: three residual additions."""

    def __init__(self, numbers: Numbers) -> None:
        adds = (f"resid{number} Add" for number in (1, 2, 3))
        super().__init__("\n".join((simple(*SIMPLE), *adds)), numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores."""
        for first, second, third, add in ((1, 2, 3, 1), (4, 5, 6, 2), (7, 8, 9, 3)):
            r = self.run(f"conv{second}", self.run(f"conv{first}", x))
            x = self.run(f"resid{add}", self.run(f"conv{third}", r), r)
        for number in range(10, 15):
            x = self.run(f"conv{number}", x)
        return self.run("flat", x)


_ACTION: Final = """
    prep0 c2 C>64 k1p0 R bn b?
    conv0 c2 64>64 k3p1 R BN b?
    conv1 max2/2 c2 64>64 k3p1 R BN b?
    conv1_2 c2 64>64 k3p1 R BN b?
    conv2 max2/2 c2 64>64 k3p1 R BN b?
    conv2_1 c2 64>64 k1p0 R BN b?
    conv2_p max2/2 c2 64>64 k3p1 R BN b?
    add2 Add
    conv3 max2/2 c2 64>64 k3p1 R BN b?
    conv3_1 c2 64>64 k1p0 R BN b?
    conv3_p max2/2 c2 64>64 k3p1 R BN b?
    add3 Add
    conv4 max2/2 c2 64>64 k3p1 R BN b?
    conv4_1 c2 64>64 k1p0 R BN b?
    conv4_p max2/2 c2 64>64 k3p1 R BN b?
    add4 Add
    drop drop 0.5
    conv5 c2 64>32 k3p0 R BN b?
    tcn0 c1 32>32 k3p0 R BN b?
    tcn1 c1 32>32 k3p0 d2 R BN b?
    tcn2 c1 32>N k3p0 d4 - BN b? WIDE
"""


class ActionTcn(Table, Hosted):
    """ai85actiontcn: a 2-D network for each pair of frames, a 1-D network over time.

    The device has a program for each of the two: one is run pair by pair, and the host keeps the
    features of the last ones for the other.
    """

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(_ACTION, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores of N x T x C x 60 x 60."""
        n, t = x.shape[:2]
        features = self.on_device(x.flatten(0, 1)).reshape(n, t, -1).transpose(1, 2)
        return self.steps(features).flatten(1)

    def on_device(self, x: Tensor) -> Tensor:
        """Return 32 features of each pair of frames, N x C x 60 x 60."""
        for name in ("prep0", "conv0", "conv1", "conv1_2"):
            x = self.run(name, x)
        for i in (2, 3, 4):
            main = self.run("drop", self.run(f"conv{i}_1", self.run(f"conv{i}", x)))
            x = self.run(f"add{i}", self.run(f"conv{i}_p", x), main)
        return self.run("conv5", x)

    def steps(self, x: Tensor) -> Tensor:
        """Return the class scores of 32 features of 15 pairs of frames."""
        for name in ("tcn0", "tcn1", "tcn2"):
            x = self.run(name, x)
        return x

    def programs(self, shape: Shape) -> list[tuple[nn.Module, Shape]]:
        """Return the two programs."""
        return [*super().programs(shape), (Part(self, self.steps), (32, 15))]


class Embedding(nn.Module):
    """A network whose output is a vector of length 1.

    The device computes the vector; its length is set to 1 by the host, so not in simulation.
    """

    def _unit(self, y: Tensor) -> Tensor:
        modes = {m.mode for m in self.modules() if isinstance(m, layers.HardwareLayer)}
        y = y.flatten(1)
        return y if "simulate" in modes else functional.normalize(y, dim=1)


class FaceId112(Embedding):
    """ai85faceidnet_112: bottlenecks with full convolutions, a vector of 64 numbers."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        bias = numbers.bias
        self.pre_stage = layers.FusedConv2dReLU(3, 32, 3, padding=1, bias=False)
        self.pre_stage_2 = layers.FusedMaxPoolConv2dReLU(32, 32, 3, padding=1, bias=False)
        rows = ((32, 48, 2, 2), (48, 64, 2, 4), (64, 64, 1, 2), (64, 96, 2, 4), (96, 128, 1, 2))
        self.feature_stage = nn.ModuleList(
            nn.Sequential(
                layers.ConvResidualBottleneck(
                    source, target, expansion, stride, bias=bias, depthwise_bias=bias
                )
            )
            for source, target, stride, expansion in rows
        )
        self.post_stage = layers.FusedConv2dReLU(128, 128, 1, bias=False)
        self.pre_avg = layers.Conv2d(128, 128, 3, padding=1, bias=False)
        self.avg_pool = layers.AvgPool2d(7, 1)
        self.linear = layers.Linear(128, 64, bias=True)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x 64; of six channels the first three are looked at."""
        x = self.pre_stage_2(self.pre_stage(x[:, :3]))
        for stage in self.feature_stage:
            x = stage(x)
        x = self.avg_pool(self.pre_avg(self.post_stage(x)))
        return self._unit(self.linear(x.flatten(1)))


Stage = tuple[int, int, int, int, int]
"""Repetitions, channels in and out, stride, expansion."""


def _stages(rows: Sequence[Stage], bias: bool, depthwise: Sequence[bool]) -> nn.ModuleList:
    stages, number = [], 0
    for repeat, source, target, stride, expansion in rows:
        blocks = []
        for index in range(repeat):
            first = index == 0
            blocks.append(
                layers.ResidualBottleneck(
                    source if first else target,
                    target,
                    expansion,
                    stride if first else 1,
                    bias=bias,
                    depthwise_bias=depthwise[number],
                )
            )
            number += 1
        stages.append(nn.Sequential(*blocks))
    return nn.ModuleList(stages)


_FIRES: Final = (
    (16, 64),
    (16, 64),
    (32, 128),
    (32, 128),
    (48, 192),
    (48, 192),
    (48, 256),
    (64, 256),
)
"""Channels of the narrow layer, and of each of the two behind it."""
_POOLED: Final = (2, 4)
"""Fires that a pool follows."""


class SqueezeNet(Hosted):
    """ai85squeezenet: narrow layers, then 1x1 and 3x3 side by side; the host ends it."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        bias = numbers.bias
        self.conv1 = layers.FusedMaxPoolConv2dReLU(numbers.channels, 64, 3, padding=1, bias=bias)
        width = 64
        for number, (narrow, side) in enumerate(_FIRES, 1):
            self.add_module(f"fire{number}", layers.Fire(width, narrow, side, side, bias=bias))
            width = 2 * side
            if number in _POOLED:
                self.add_module(f"pool{number // 2}", layers.MaxPool2d(2))
        self.fc = layers.SoftwareLinear(width * 4 * 4, numbers.classes, bias=bias)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores."""
        return cast("Tensor", self.fc(torch.cat(self.on_device(x), dim=1).flatten(1)))

    def on_device(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the last layer reads, twice N x 256 x 4 x 4 side by side."""
        *before, last, _ = self.children()
        for module in before:
            x = module(x)
        return cast("layers.Fire", last).sides(x)


class MobileNetV2(nn.Module):
    """ai87netmobilenetv2 and its smaller variants; MAX78002."""

    def __init__(
        self, numbers: Numbers, rows: Sequence[Stage], head: int, pool: int, depthwise: bool = False
    ) -> None:
        super().__init__()
        stem = layers.FusedMaxPoolConv2dBNReLU if pool == 7 else layers.FusedConv2dBNReLU
        self.pre_stage = stem(numbers.channels, rows[0][1], 3, padding=1, bias=numbers.bias)
        count = sum(row[0] for row in rows)
        self.feature_stage = _stages(rows, numbers.bias, [depthwise] * count)
        self.post_stage = layers.FusedConv2dReLU(rows[-1][2], head, 1, bias=False)
        self.classifier = layers.FusedAvgPoolConv2d(
            head, numbers.classes, 1, pool_size=pool, pool_stride=pool, bias=False, wide=True
        )
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores."""
        x = self.pre_stage(x)
        for stage in self.feature_stage:
            x = stage(x)
        return cast("Tensor", self.classifier(self.post_stage(x))).flatten(1)


IMAGENET: Final[Sequence[Stage]] = (
    (1, 32, 16, 1, 1),
    (2, 16, 24, 2, 6),
    (3, 24, 32, 2, 6),
    (4, 32, 64, 2, 6),
    (3, 64, 96, 1, 6),
    (3, 96, 160, 2, 6),
    (1, 160, 320, 1, 6),
)


def cifar_stages(*widths: int) -> list[Stage]:
    """Return the stages of a variant for 32 x 32 images from its channels."""
    rows = zip((1, 2, 3, 4, 3, 3, 1), widths, widths[1:], strict=False)
    strides, expansions = (1, 2, 2, 2, 1, 1, 1), (1, 6, 6, 6, 6, 6, 6)
    return [(n, a, b, s, e) for (n, a, b), s, e in zip(rows, strides, expansions, strict=True)]


_FACE: Final[Sequence[Stage]] = (
    (5, 64, 64, 2, 2),
    (1, 64, 128, 2, 4),
    (6, 128, 128, 1, 2),
    (1, 128, 128, 2, 4),
    (2, 128, 128, 1, 2),
)


class MobileFaceNet(Embedding):
    """ai87netmobilefacenet_112: depthwise bottlenecks, a vector of 64 numbers; MAX78002."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__()
        self.pre_stage = layers.FusedConv2dReLU(3, 64, 3, padding=1, bias=False)
        self.dwise = layers.FusedMaxPoolDepthwiseConv2dReLU(64, 64, 3, padding=1, bias=numbers.bias)
        depthwise = [index % 2 == 0 for row in _FACE for index in range(row[0])]
        self.feature_stage = _stages(_FACE, numbers.bias, depthwise)
        self.post_stage = layers.FusedConv2dReLU(128, 128, 1, bias=False)
        self.classifier = layers.FusedAvgPoolConv2d(
            128, 64, 1, pool_size=7, pool_stride=1, bias=False
        )
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x 64; of six channels the first three are looked at."""
        x = self.dwise(self.pre_stage(x[:, :3]))
        for stage in self.feature_stage:
            x = stage(x)
        return self._unit(self.classifier(self.post_stage(x)))


class EfficientNet(nn.Module):
    """ai87effnetv2 and ai87imageneteffnetv2; MAX78002.

    `blocks` are channels in and out, expansion and whether a block is fused; a number among them
    is a 1x1 convolution behind a maximum pool to so many channels, 0 the pool alone.
    """

    def __init__(
        self, numbers: Numbers, blocks: Sequence[tuple[int, int, int, bool] | int], pool: int
    ) -> None:
        super().__init__()
        norm: dict[str, Any] = {"eps": 1e-3, "momentum": 0.01}
        bias = numbers.bias
        self.conv_stem = layers.FusedMaxPoolConv2dBNReLU(
            numbers.channels, 32, 3, padding=1, bias=bias, **norm
        )
        self.order: list[str] = []
        width = 32
        for index, block in enumerate(blocks, 1):
            name = f"mb_conv{index}" if not isinstance(block, int) else f"conv{index}"
            made: nn.Module
            if block == 0:
                name, made = "max_pooling1", layers.MaxPool2d(2)
            elif isinstance(block, int):
                made = layers.FusedMaxPoolConv2dBNReLU(width, block, 1, bias=bias, **norm)
                width = block
            else:
                source, width, ratio, fused = block
                made = layers.MBConvBlock(source, width, bias=bias, expand_ratio=ratio, fused=fused)
            self.add_module(name, made)
            self.order.append(name)
        self.conv_head = layers.FusedConv2dBNReLU(width, 1024, 1, bias=bias, **norm)
        self.avg_pooling = layers.AvgPool2d(pool)
        self.fc = layers.Linear(1024, numbers.classes, bias=True, wide=True)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores."""
        x = self.conv_stem(x)
        for name in self.order:
            x = self.get_submodule(name)(x)
        return cast("Tensor", self.fc(self.avg_pooling(self.conv_head(x)).flatten(1)))


CIFAR_BLOCKS: Final = (
    (32, 16, 1, True),
    (16, 32, 4, True),
    (32, 32, 4, True),
    (32, 48, 4, True),
    (48, 48, 4, True),
    (48, 96, 4, False),
    (96, 96, 4, False),
    (96, 128, 4, False),
    (128, 128, 4, False),
)
IMAGENET_BLOCKS: Final = (
    (32, 16, 1, True),
    (16, 32, 4, True),
    (32, 32, 4, True),
    (32, 48, 4, True),
    (48, 48, 4, True),
    (48, 48, 4, True),
    0,
    (48, 96, 2, False),
    (96, 96, 2, False),
    (96, 128, 2, False),
    128,
    (128, 128, 4, False),
)
