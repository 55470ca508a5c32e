"""Layers in the notation of the architecture tables: `conv2 max2/2 c2 60>60 k3p2 R`.

A row is a name, then the layer: an optional pool (`max2/2`, `avg2/2`: size and stride), an operator
(`c1`, `c2` convolutions, `t2` transposed with stride 2, `fc` linear), channels, kernel and padding,
dilation `d2`, groups `g96`, activation (`R` ReLU, `A` Abs, `-` none), `BN` or `bn` for an affine or
plain batch norm, which a layer without bias has not, `b` or `b?` for a bias always or by option,
`WIDE` for 32-bit outputs. `as16x16x8` in front of an operator: it looks at its input in that shape.

Rows without an operator are pools, `drop 0.2`, `Add` and `flat`, which makes one row of everything.
`N` and `C` stand for the numbers of classes and of input channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

from ai8xc.training import layers

_ACTIVATIONS: Final = {"R": "ReLU", "A": "Abs", "-": None}
_NORMS: Final = {"BN": "Affine", "bn": "NoAffine"}
_POOLINGS: Final = {"max": "Max", "avg": "Avg"}
_POOL: Final = re.compile(r"(max|avg)(\d+)(?:,(\d+))?/(\d+)")
_VIEW: Final = re.compile(r"as\d+(?:x\d+)+")
_GEOMETRY: Final = re.compile(r"k(\d+)(?:p(\d+))?")


@dataclass(frozen=True)
class Numbers:
    """What the rows of a table leave open."""

    classes: int
    channels: int
    bias: bool = True

    def of(self, text: str) -> int:
        """Return a number of channels."""
        named = {"N": self.classes, "C": self.channels}
        factor, star, name = text.rpartition("*")
        number = named.get(name) or int(name)
        return int(factor) * number if star else number


def rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and words of each row."""
    for line in text.strip().splitlines():
        name, *words = line.split()
        yield name, words


def layer(words: list[str], numbers: Numbers) -> nn.Module:
    """Return the layer of a row."""
    if words[0] == "drop":
        return nn.Dropout(float(words[1]))
    if words[0] == "Add":
        return layers.Add()
    if words[0] == "flat":
        return nn.Flatten()
    pool = _POOL.fullmatch(words[0])
    if pool and len(words) == 1:
        return _pool_layer(pool)
    given: dict[str, Any] = {}
    if pool:
        given["pooling"] = _POOLINGS[pool[1]]
        given["pool_size"], given["pool_stride"] = int(pool[2]), int(pool[4])
        words = words[1:]
    operator, channels, *rest = words
    given |= {key: value for word in rest for key, value in _option(word, numbers)}
    source, target = (numbers.of(text) for text in channels.split(">"))
    if operator == "fc":
        return layers.Linear(source, target, **given)
    if not given.setdefault("bias", False):
        given.pop("batchnorm", None)
    kernel = given.pop("kernel_size")
    if operator == "c1":
        return layers.Conv1d(source, target, kernel, **given)
    if operator == "t2":
        return layers.ConvTranspose2d(source, target, kernel, stride=2, **given)
    return layers.Conv2d(source, target, kernel, **given)


def _pool_layer(pool: re.Match[str]) -> nn.Module:
    size = (int(pool[2]), int(pool[3])) if pool[3] else int(pool[2])
    make = layers.MaxPool2d if pool[1] == "max" else layers.AvgPool2d
    return make(size, int(pool[4]))


def _option(word: str, numbers: Numbers) -> Iterator[tuple[str, Any]]:
    geometry = _GEOMETRY.fullmatch(word)
    if geometry:
        yield from (("kernel_size", int(geometry[1])), ("padding", int(geometry[2] or 0)))
    elif word in _ACTIVATIONS:
        yield "activation", _ACTIVATIONS[word]
    elif word in _NORMS:
        yield "batchnorm", _NORMS[word]
    elif word in ("b", "b?"):
        yield "bias", word == "b" or numbers.bias
    elif word == "WIDE":
        yield "wide", True
    elif word[0] == "d":
        yield "dilation", int(word[1:])
    elif word[0] == "g":
        yield "groups", numbers.of(word[1:])
    else:
        raise ValueError(f"`{word}` in a row of layers")


class Table(nn.Module):
    """Layers of a table as attributes under their names, dotted names as modules of modules."""

    def __init__(self, text: str, numbers: Numbers) -> None:
        super().__init__()
        self.views: dict[str, tuple[int, ...]] = {}
        for name, (first, *words) in rows(text):
            if _VIEW.fullmatch(first):
                self.views[name] = tuple(int(size) for size in first[2:].split("x"))
            else:
                words.insert(0, first)
            self.put(name, layer(words, numbers))
        initialize(self)

    def put(self, name: str, made: nn.Module) -> None:
        """Add a layer under a dotted name."""
        parent: nn.Module = self
        *path, last = name.split(".")
        for part in path:
            if part not in dict(parent.named_children()):
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        parent.add_module(last, made)

    def run(self, name: str, *operands: Tensor) -> Tensor:
        """Return what a layer makes of its operands; linear layers read everything as one row."""
        found = self.get_submodule(name)
        if isinstance(found, layers.Linear):
            operands = tuple(x.flatten(1) for x in operands)
        elif name in self.views:
            operands = tuple(x.reshape(len(x), *self.views[name]) for x in operands)
        result: Tensor = found(*operands)
        return result


class Chain(Table):
    """Layers in a row."""

    def __init__(self, text: str, numbers: Numbers) -> None:
        super().__init__(text, numbers)
        self.order = [name for name, _ in rows(text)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last layer."""
        for name in self.order:
            x = self.run(name, x)
        return x


def initialize(module: nn.Module) -> None:
    """Draw the weights of convolutions so that ReLU keeps the variance of gradients."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
