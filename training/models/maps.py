"""Architectures whose outputs are maps or more than one: U-Nets, autoencoder, detectors.

Names of layers are those of the vendor's checkpoints. Source: training facts, section 6.1.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from ai8xc.training.detection.priors import PRIORS, Priors
from ai8xc.training.models.notation import Numbers, Table

_UNET_SMALL: Final = """
    enc1 c2 C>4 k3p1 R bn b?
    enc2 max2/2 c2 4>8 k3p1 R bn b?
    enc3 max2/2 c2 8>32 k3p1 R bn b?
    bneck max2/2 c2 32>64 k3p1 R bn b?
    upconv3 t2 64>32 k3p1 - b
    dec3 c2 64>32 k3p1 R bn b?
    upconv2 t2 32>8 k3p1 - b
    dec2 c2 16>8 k3p1 R bn b?
    upconv1 t2 8>4 k3p1 - b
    dec1 c2 8>16 k3p1 R bn b?
    conv c2 16>N k1p0 - bn b?
"""
_UNET_MEDIUM: Final = """
    enc1 c2 C>4 k3p1 R bn b?
    enc2 max2/2 c2 4>8 k3p1 R bn b?
    enc3 max2/2 c2 8>32 k3p1 R bn b?
    bneck max2/2 c2 32>64 k3p1 R bn b?
    upconv3 t2 64>32 k3p1 - b
    dec3 c2 64>60 k3p1 R bn b?
    upconv2 t2 60>8 k3p1 - b
    dec2 c2 16>48 k3p1 R bn b?
    upconv1 t2 48>4 k3p1 - b
    dec1 c2 8>64 k3p1 R bn b?
    dec0 c2 64>32 k3p1 R bn b?
    conv c2 32>N k1p0 - bn b?
"""
_UNET_LARGE: Final = """
    prep0 c2 C>64 k1p0 R bn b?
    prep1 c2 64>64 k1p0 R bn b?
    prep2 c2 64>32 k1p0 R bn b?
    enc1 c2 32>8 k3p1 R bn b?
    enc2 max2/2 c2 8>28 k3p1 R bn b?
    enc3 max2/2 c2 28>56 k3p1 R bn b?
    bneck max2/2 c2 56>112 k3p1 R bn b?
    upconv3 t2 112>56 k3p1 - b
    dec3 c2 112>56 k3p1 R bn b?
    upconv2 t2 56>28 k3p1 - b
    dec2 c2 56>28 k3p1 R bn b?
    upconv1 t2 28>8 k3p1 - b
    dec1 c2 16>48 k3p1 R bn b?
    dec0 c2 48>64 k3p1 R bn b?
    conv_p1 c2 64>64 k1p0 R bn b?
    conv_p2 c2 64>64 k1p0 R bn b?
    conv_p3 c2 64>64 k1p0 - bn b?
    conv c2 64>16*N k1p0 - bn b?
"""
UNETS: Final = {
    "ai85unetsmall": _UNET_SMALL,
    "ai85unetmedium": _UNET_MEDIUM,
    "ai85unetlarge": _UNET_LARGE,
}


class UNet(Table):
    """An encoder of three steps and a decoder that sees what each step was made of."""

    def __init__(self, name: str, numbers: Numbers) -> None:
        super().__init__(UNETS[name], numbers)
        names = [child for child, _ in self.named_children()]
        self.before = [name for name in names if name.startswith("prep")]
        self.after = names[names.index("dec1") + 1 :]

    def forward(self, x: Tensor) -> Tensor:
        """Return a score of each class for each pixel."""
        for name in self.before:
            x = self.run(name, x)
        enc1 = self.run("enc1", x)
        enc2 = self.run("enc2", enc1)
        enc3 = self.run("enc3", enc2)
        x = self.run("bneck", enc3)
        for level, skip in ((3, enc3), (2, enc2), (1, enc1)):
            x = torch.cat((self.run(f"upconv{level}", x), skip), dim=1)
            x = self.run(f"dec{level}", x)
        for name in self.after:
            x = self.run(name, x)
        return x


_AUTOENCODER: Final = """
    en_conv1 c1 C>128 k1p0 R BN b?
    en_conv2 c1 128>64 k3p0 R BN b?
    en_lin1 fc 64>32 R b?
    en_lin2 fc 32>4 -
    de_lin1 fc 4>32 R b?
    de_lin2 fc 32>96 R b?
    out_lin fc 96>768 -
"""


class AutoEncoder(Table):
    """ai85autoencoder: 256 x 3 values through a bottleneck of 4."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(_AUTOENCODER, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x 256 x 3."""
        return self.values(x).reshape(len(x), 256, 3)

    def values(self, x: Tensor) -> Tensor:
        """Return N x 768: what the device computes, in the order in which the host reads it."""
        for name, _ in self.named_children():
            x = self.run(name, x)
        return x


class Values(nn.Module):
    """What the device computes of an autoencoder."""

    def __init__(self, autoencoder: AutoEncoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        """Return the values as one row."""
        return self.autoencoder.values(x)


_KWS20: Final = """
    voice_conv1 c1 C>100 k1p0 R b?
    voice_conv2 c1 100>100 k1p0 R b?
    voice_conv3 c1 100>50 k1p0 R b?
    voice_conv4 c1 50>16 k1p0 R b?
    kws_conv1 c2 16>32 k3p1 R b?
    kws_conv2 c2 32>64 k3p1 R b?
    kws_conv3 c2 64>64 k3p1 R b?
    kws_conv4 c2 64>30 k3p1 R b?
    kws_conv5 c2 30>7 k3p1 R b?
    fc fc 896>N - b? WIDE
"""


class Kws20(Table):
    """ai85kws20net: a 1-D part whose output is looked at as 16 images of 16 x 8."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(_KWS20, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores."""
        for name, _ in self.named_children():
            if name == "kws_conv1":
                x = x.reshape(len(x), 16, 16, 8)
            x = self.run(name, x)
        return x


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
DETECTORS: Final = {"tinierssd": _TINY, "tinierssdface": _FACE, "tinierssdqr": _QR}


class Detector(Table):
    """A single-shot detector: boxes (and key points) and classes for each prior box.

    `maps` is what the device computes; the rest moves numbers, which the host does.
    """

    priors_cxcy: Tensor

    def __init__(self, name: str, numbers: Numbers) -> None:
        super().__init__(DETECTORS[name], numbers)
        self.priors: Priors = PRIORS[name]
        self.classes = numbers.classes
        self.register_buffer("priors_cxcy", self.priors.boxes(), persistent=False)
        heads = [child for child, _ in self.get_submodule("pred_convs").named_children()]
        self.kinds = [k for k in ("loc", "kpts", "cl") if any(h.startswith(k) for h in heads)]
        self.sources = [h.removeprefix("loc_") for h in heads if h.startswith("loc_")]

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the heads: boxes of each map, key points, then classes."""
        seen: dict[str, Tensor] = {}
        for part in ("base", "aux_convs"):
            for name, _ in self.get_submodule(part).named_children():
                x = self.run(f"{part}.{name}", x)
                seen[name] = x
        heads = [(k, s) for k in self.kinds for s in self.sources]
        return tuple(self.run(f"pred_convs.{k}_{s}", seen[s]) for k, s in heads)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return locations (N, priors, 4 or 12) and class scores (N, priors, classes)."""
        maps, count = self.maps(x), len(self.sources)
        widths = {"loc": 4, "kpts": 8, "cl": self.classes}
        rows = {
            kind: torch.cat(
                [
                    m.permute(0, 2, 3, 1).reshape(len(x), -1, widths[kind])
                    for m in maps[i * count : (i + 1) * count]
                ],
                dim=1,
            )
            for i, kind in enumerate(self.kinds)
        }
        locs = rows["loc"] if "kpts" not in rows else torch.cat((rows["loc"], rows["kpts"]), 2)
        return locs, rows["cl"]


class Maps(nn.Module):
    """What the device computes of a detector."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the heads."""
        return self.detector.maps(x)
