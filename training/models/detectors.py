"""Detectors: maps of boxes and of classes, one row for each prior box.

Names of layers are those of the vendor's checkpoints. Source: training facts, section 6.1.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import torch
from torch import Tensor

from ai8xc.training.detection.priors import PRIORS, Priors
from ai8xc.training.models.notation import Numbers, Table
from ai8xc.training.models.parts import Hosted

_TINY: Final = """
    base.fire1 c2 C>32 k3p1 R BN b?
    base.fire2 c2 32>32 k3p1 R BN b?
    base.fire3 max2/2 c2 32>64 k3p1 R BN b?
    base.fire4 c2 64>64 k3p1 R BN b?
    base.fire5 max3/2 c2 64>64 k3p1 R BN b?
    base.fire6 c2 64>64 k3p1 R BN b?
    base.fire7 c2 64>128 k3p1 R BN b?
    base.fire8 c2 128>32 k3p1 R BN b?
    base.fire9 max2/2 c2 32>32 k3p1 R BN b?
    base.fire10 max3/2 c2 32>32 k3p1 R BN b?
    aux_convs.conv12_1 c2 32>16 k3p1 R BN b?
    aux_convs.conv12_2 max2/2 c2 16>16 k3p1 R BN b?
    pred_convs.loc_fire8 c2 32>16 k3p1 - BN b?
    pred_convs.loc_fire9 c2 32>16 k3p1 - BN b?
    pred_convs.loc_fire10 c2 32>16 k3p1 - BN b?
    pred_convs.loc_conv12_2 c2 16>16 k3p1 - BN b?
    pred_convs.cl_fire8 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_fire9 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_fire10 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_conv12_2 c2 16>4*N k3p1 - BN b?
"""
_FACE: Final = """
    base.fire1 max2/2 c2 C>16 k3p1 R
    base.fire2 max2/2 c2 16>32 k3p1 R
    base.fire3 c2 32>64 k3p1 R BN b?
    base.fire4 c2 64>64 k3p1 R BN b?
    base.fire5 c2 64>64 k3p1 R BN b?
    base.fire6 c2 64>64 k3p1 R BN b?
    base.fire7 c2 64>128 k3p1 R BN b?
    base.fire8 c2 128>32 k3p1 R BN b?
    base.fire9 max2/2 c2 32>32 k3p1 R BN b?
    base.fire10 max2/2 c2 32>32 k3p1 R BN b?
    aux_convs.conv12_1 c2 32>16 k3p1 R BN b?
    aux_convs.conv12_2 max2/2 c2 16>16 k3p1 R BN b?
    pred_convs.loc_fire9 c2 32>8 k3p1 - BN b?
    pred_convs.loc_conv12_2 c2 16>8 k3p1 - BN b?
    pred_convs.cl_fire9 c2 32>2*N k3p1 - BN b?
    pred_convs.cl_conv12_2 c2 16>2*N k3p1 - BN b?
"""
_QR: Final = """
    base.fire1 c2 C>32 k3p1 R
    base.fire2 c2 32>32 k3p1 R
    base.fire3 max2/2 c2 32>64 k3p1 R
    base.fire4 max2/2 c2 64>64 k3p1 R
    base.fire5 c2 64>64 k3p1 R
    base.fire6 max2/2 c2 64>64 k3p1 R
    base.fire7 c2 64>64 k3p1 R BN b?
    base.fire8 c2 64>128 k3p1 R BN b?
    base.fire9 c2 128>32 k3p1 R BN b?
    base.fire10 max2/2 c2 32>32 k3p1 R BN b?
    base.fire11 max2/2 c2 32>32 k3p1 R BN b?
    aux_convs.conv12_1 c2 32>16 k3p1 R BN b?
    aux_convs.conv12_2 max2/2 c2 16>16 k3p1 R BN b?
    pred_convs.loc_fire9 c2 32>16 k3p1 - BN b?
    pred_convs.loc_fire10 c2 32>16 k3p1 - BN b?
    pred_convs.loc_fire11 c2 32>16 k3p1 - BN b?
    pred_convs.loc_conv12_2 c2 16>16 k3p1 - BN b?
    pred_convs.kpts_fire9 c2 32>32 k3p1 - BN b?
    pred_convs.kpts_fire10 c2 32>32 k3p1 - BN b?
    pred_convs.kpts_fire11 c2 32>32 k3p1 - BN b?
    pred_convs.kpts_conv12_2 c2 16>32 k3p1 - BN b?
    pred_convs.cl_fire9 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_fire10 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_fire11 c2 32>4*N k3p1 - BN b?
    pred_convs.cl_conv12_2 c2 16>4*N k3p1 - BN b?
"""
SINGLE_SHOT: Final = {"tinierssd": _TINY, "tinierssdface": _FACE, "tinierssdqr": _QR}


class Detector(Table, Hosted):
    """Boxes (and key points) and classes for each prior box.

    The device computes maps; to make rows of them moves numbers, which the host does. `kinds` are
    what the heads tell, in order, with the numbers of a row; `loc` are boxes.
    """

    priors_cxcy: Tensor

    def __init__(self, text: str, priors: Priors, numbers: Numbers) -> None:
        super().__init__(text, numbers)
        self.priors = priors
        self.kinds = {"loc": 4, "cl": numbers.classes}
        self.register_buffer("priors_cxcy", priors.boxes(), persistent=False)

    @abstractmethod
    def on_device(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of each kind, from the largest to the smallest."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return locations (N, priors, 4 or 12) and class scores (N, priors, classes)."""
        maps = iter(self.on_device(x))
        rows = {
            kind: torch.cat([_rows(next(maps), width) for _ in self.priors.maps], dim=1)
            for kind, width in self.kinds.items()
        }
        scores = rows.pop("cl")
        return torch.cat(tuple(rows.values()), dim=2), scores


def _rows(map_: Tensor, width: int) -> Tensor:
    return map_.permute(0, 2, 3, 1).reshape(len(map_), -1, width)


class SingleShot(Detector):
    """A detector whose maps are outputs of one chain of layers, each with heads of its own."""

    def __init__(self, name: str, numbers: Numbers) -> None:
        super().__init__(SINGLE_SHOT[name], PRIORS[name], numbers)
        heads = [child for child, _ in self.get_submodule("pred_convs").named_children()]
        if any(head.startswith("kpts") for head in heads):
            self.kinds = {"loc": 4, "kpts": 8, "cl": numbers.classes}
        self.sources = [h.removeprefix("loc_") for h in heads if h.startswith("loc_")]

    def on_device(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the heads: boxes of each map, key points, then classes."""
        seen: dict[str, Tensor] = {}
        for part in ("base", "aux_convs"):
            for name, _ in self.get_submodule(part).named_children():
                x = self.run(f"{part}.{name}", x)
                seen[name] = x
        heads = [(k, s) for k in self.kinds for s in self.sources]
        return tuple(self.run(f"pred_convs.{k}_{s}", seen[s]) for k, s in heads)


_BACKBONE: Final = (
    ("256_320", "max2/2 c2 64>64"),
    ("128_160", "max2/2 c2 64>64"),
    ("64_80_pre", "c2 64>64"),
    ("64_80", "max2/2 c2 64>64"),
    ("32_40", "max2/2 c2 64>64"),
    ("16_20", "max2/2 c2 64>128"),
    ("8_10", "max2/2 c2 128>128"),
)
"""Units of the backbone by the size of what they read, and the first layer of each."""
_LEVELS: Final = (("32_40", 64), ("16_20", 64), ("8_10", 128), ("4_5", 128))
"""Maps of the pyramid by size, and the channels that the backbone has for each."""
_HEADS: Final = (("regression_net", "6*4"), ("classification_net", "6*N"))


def _unit(name: str, first: str) -> str:
    width = first.rpartition(">")[2]
    return f"""
        {name}.preprocess_layer {first} k3p1 R bn b
        {name}.res_layers.conv_0 c2 {width}>{width} k3p1 R bn b
        {name}.res_layers.conv_1 c2 {width}>{width} k3p1 R bn b
        {name}.add Add
    """


def _pyramid() -> str:
    finer = [level for level, _ in _LEVELS[:-1]]
    lines = [
        "preprocess_layer_1 c2 C>64 k3p1 R BN b",
        "preprocess_layer_2 c2 64>64 k3p1 R BN b",
        *(_unit(f"backbone.residual_{size}", first) for size, first in _BACKBONE),
        *(f"fpn.skip_{level} c2 {channels}>64 k1p0 R bn b?" for level, channels in _LEVELS),
        *(f"fpn.upconv_{level} t2 64>64 k3p1 - b" for level, _ in _LEVELS[1:]),
        *(f"fpn.process_{level} c2 64>64 k3p1 R bn b?" for level in finer),
        "fpn.add Add",
    ]
    for head, outputs in _HEADS:
        lines += [_unit(f"{head}.res_conv{number}", "c2 64>64") for number in (1, 2)]
        lines.append(f"{head}.conv5 c2 64>{outputs} k3p1 - b?")
    return "\n".join(line.strip() for part in lines for line in part.strip().splitlines())


class FeaturePyramid(Detector):
    """ai87fpndetector: maps of four sizes, each told of the coarser ones, and heads for all."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(_pyramid(), PRIORS["fpndetector"], numbers)

    def on_device(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the boxes of each map, then the classes."""
        x = self.run("preprocess_layer_2", self.run("preprocess_layer_1", x))
        seen = []
        for size, _ in _BACKBONE:
            x = self._unit(f"backbone.residual_{size}", x, added=size != _BACKBONE[0][0])
            seen.append(x)
        maps = self._pyramid(seen[-len(_LEVELS) :])
        return tuple(self._head(head, x) for head, _ in _HEADS for x in maps)

    def _unit(self, name: str, x: Tensor, *, added: bool = True) -> Tensor:
        x = self.run(f"{name}.preprocess_layer", x)
        y = self.run(f"{name}.res_layers.conv_0", x)
        y = self.run(f"{name}.res_layers.conv_1", y)
        return self.run(f"{name}.add", y, x) if added else y

    def _pyramid(self, seen: list[Tensor]) -> list[Tensor]:
        """Return 64 channels of each size, from the largest to the smallest."""
        names = [level for level, _ in _LEVELS]
        skips = [self.run(f"fpn.skip_{name}", x) for name, x in zip(names, seen, strict=True)]
        found = [skips[-1]]
        for index in range(len(names) - 2, -1, -1):
            above = self.run(f"fpn.upconv_{names[index + 1]}", found[0])
            joined = self.run("fpn.add", skips[index], above)
            found.insert(0, self.run(f"fpn.process_{names[index]}", joined))
        return found

    def _head(self, name: str, x: Tensor) -> Tensor:
        for number in (1, 2):
            x = self._unit(f"{name}.res_conv{number}", x)
        return self.run(f"{name}.conv5", x)
