"""Architectures that look at their data in another shape, or join maps: U-Nets, autoencoder.

Names of layers are those of the vendor's checkpoints. Source: training facts, section 6.1.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from ai8xc.training.models.notation import Numbers, Table
from ai8xc.training.models.parts import Hosted

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


class AutoEncoder(Table, Hosted):
    """ai85autoencoder: 256 x 3 values through a bottleneck of 4."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(_AUTOENCODER, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x 256 x 3."""
        return self.on_device(x).reshape(len(x), 256, 3)

    def on_device(self, x: Tensor) -> Tensor:
        """Return N x 768 in the order in which the host reads them."""
        for name, _ in self.named_children():
            x = self.run(name, x)
        return x
