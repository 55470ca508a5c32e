"""Training throughput with QAT on, against a direct transcription of the formulas.

python benchmarks/qat_throughput.py [--batch N] [--rounds N] [--json FILE]   (CPU; about a minute)

Both networks have the same layers, parameters, data and optimizer. The transcription does what the
formulas say, one autograd function per rounding and clamp, in the order in which they are written:
the quantised weights, the operator, the scaling, the activation, the quantisation, the clamp. Both
give the same bits, which is checked first. Rounds alternate; the figure is the median of the
ratios, and samples per second are those of the best round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ai8xc.training import layers
from ai8xc.training.layers import HardwareLayer


class Floor(torch.autograd.Function):
    """floor with derivative 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the rounded values."""
        return x.floor()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient as it is."""
        return grads[0]


class Truncate(torch.autograd.Function):
    """trunc with derivative 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the rounded values."""
        return x.trunc()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the gradient as it is."""
        return grads[0]


class Quantize(torch.autograd.Function):
    """`floor(x * 2**(bits - 1) + 1/2) / 2**(bits - 1)` with derivative 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: int) -> Tensor:
        """Return the rounded values."""
        factor = 2.0 ** (bits - 1)
        return x.mul(factor).add(0.5).floor().div(factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Return the gradient as it is."""
        return grads[0], None


def clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Return the values between the bounds, in the two steps of the specification."""
    return x.clamp(max=high).clamp(min=low)


class Transcribed(nn.Module):
    """One layer by the formulas, with the parameters of a layer of ours."""

    def __init__(self, layer: HardwareLayer) -> None:
        super().__init__()
        self.pool, self.activation, self.wide = layer.pool, layer.activation, layer.wide
        self.op = layer.op
        self.bits = layer.bits

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output."""
        if self.pool is not None:
            x = self.pool(x)
            if isinstance(self.pool, nn.AvgPool2d):
                x = clamp(Truncate.apply(x * 128) / 128, -1, 127 / 128)
        weight, bias = self.op.weight, self.op.bias
        parts = [weight.detach().flatten()] + ([] if bias is None else [bias.detach()])
        largest = torch.cat(parts).abs().max()
        shift = -torch.floor(torch.log2(1 / largest)).clamp(-15, 15)
        scale, back = 2.0 ** (-shift), 2.0**shift
        levels = 2.0 ** (self.bits - 1)

        def quantized(values: Tensor) -> Tensor:
            return clamp(Quantize.apply(values * scale, self.bits), -1, (levels - 1) / levels)

        bias = None if bias is None else quantized(bias)
        if isinstance(self.op, nn.Linear):
            x = functional.linear(x, quantized(weight), bias)
        else:
            x = functional.conv2d(x, quantized(weight), bias, padding=self.op.padding)
        if self.wide:
            return clamp(Quantize.apply(x, 15), -32768, 32768)
        x = x * back
        if self.activation == "ReLU":
            x = functional.relu(x, inplace=True)
        return clamp(Quantize.apply(x, 8), -1, 127 / 128)


def network() -> nn.Sequential:
    """Return the vendor's MNIST network (71,158 parameters), in QAT."""
    with layers.use_device("max78000", mode="qat"):
        return nn.Sequential(
            layers.FusedConv2dReLU(1, 60, 3, padding=1, bias=False),
            layers.FusedMaxPoolConv2dReLU(60, 60, 3, padding=2, bias=False),
            layers.FusedMaxPoolConv2dReLU(60, 56, 3, padding=1, bias=False),
            layers.FusedAvgPoolConv2dReLU(56, 12, 3, padding=1, bias=False),
            nn.Flatten(),
            layers.Linear(192, 10, bias=True, wide=True),
        )


def transcribed(net: nn.Sequential) -> nn.Sequential:
    """Return the same network by the formulas, with parameters of its own."""
    copy = network()
    copy.load_state_dict(net.state_dict())
    parts = (Transcribed(m) if isinstance(m, HardwareLayer) else m for m in copy)
    return nn.Sequential(*parts)


class Trainer:
    """A network under training on made data."""

    def __init__(self, net: nn.Module, x: Tensor, y: Tensor) -> None:
        self.net, self.x, self.y = net, x, y
        self.optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def step(self) -> None:
        """Do one step on the batch."""
        self.optimizer.zero_grad()
        functional.cross_entropy(self.net(self.x), self.y).backward()
        self.optimizer.step()

    def time(self, steps: int) -> float:
        """Return the seconds of some steps."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        return time.perf_counter() - start


def check_equal(ours: nn.Module, theirs: nn.Module, x: Tensor, y: Tensor) -> None:
    """Make sure that both networks give the same outputs and gradients."""
    outputs, gradients = [], []
    for net in (ours, theirs):
        output = net(x)
        functional.cross_entropy(output, y).backward()
        outputs.append(output)
        gradients.append([p.grad.clone() for p in net.parameters()])
        net.zero_grad()
    assert torch.equal(*outputs)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-7) for a, b in zip(*gradients, strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    x = torch.randint(-128, 128, (arguments.batch, 1, 28, 28)).float() / 128
    y = torch.randint(0, 10, (arguments.batch,))
    ours = network()
    theirs = transcribed(ours)
    check_equal(ours, theirs, x, y)
    trainers = Trainer(ours, x, y), Trainer(theirs, x, y)
    for trainer in trainers:
        trainer.time(1)
    pairs = [
        tuple(trainer.time(arguments.steps) for trainer in trainers)
        for _ in range(arguments.rounds)
    ]
    samples = arguments.batch * arguments.steps
    ratio = statistics.median(b / a for a, b in pairs)
    best = [samples / min(times) for times in zip(*pairs, strict=True)]
    print(f"layers of ours      {best[0]:8.0f} samples/s")
    print(f"direct transcription{best[1]:8.0f} samples/s")
    print(f"ratio               {ratio:8.2f}  (median of {arguments.rounds})")
    if arguments.json:
        record = {"ours": best[0], "transcribed": best[1], "ratio": ratio}
        arguments.json.write_text(json.dumps(record))


if __name__ == "__main__":
    main()
