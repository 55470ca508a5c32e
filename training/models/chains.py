"""Architectures that are layers in a row. Source: training facts, section 6.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final


def _numbered(prefix: str, layers: Iterable[str]) -> list[str]:
    return [f"{prefix}{number} {layer}" for number, layer in enumerate(layers, 1)]


def _linked(source: str | int, widths: Sequence[int | str]) -> list[str]:
    """Return the channels in and out of each layer of a row."""
    return [f"{a}>{b}" for a, b in zip((source, *widths), widths, strict=False)]


def digits(*widths: int, last: str = "fc fc 192>N - b WIDE") -> str:
    """Return the rows of a network for digits, 28 x 28: four convolutions, three pools."""
    layers = zip(("", "max2/2 ", "max2/2 ", "avg2/2 "), (1, 2, 1, 1), strict=True)
    convolutions = (
        f"{pool}c2 {channels} k3p{pad} R b?"
        for (pool, pad), channels in zip(layers, _linked("C", widths), strict=True)
    )
    return "\n".join([*_numbered("conv", convolutions), last])


def simple(*widths: int, norm: str = "") -> str:
    """Return the rows of a SimpleNet: 14 convolutions, halved where a pool is in front."""
    pooled, small = (5, 8, 10, 11, 13), (11, 12, 14)
    convolutions = []
    for number, channels in enumerate(_linked("C", (*widths, "N")), 1):
        pool = "max2/2 " if number in pooled else ""
        geometry = "k1p0" if number in small else "k3p1"
        behind = f"R {norm}b?" if number < 14 else "- b? WIDE"
        convolutions.append(f"{pool}c2 {channels} {geometry} {behind}")
    return "\n".join([*_numbered("conv", convolutions), "flat flat"])


SIMPLE: Final = (16, 20, 20, 20, 20, 20, 44, 48, 48, 96, 512, 128, 128)
"""Channels of the network that SimpleNets are variants of."""


def words(norm: str = "", bias: str = "b? ") -> str:
    """Return the rows of the second network for spoken words."""
    before = ("", "", "max2/2 ", "", "max2/2 ", "", "avg2/2 ", "")
    geometries = ("k1p0", *("k3p0", "k3p1") * 3, "k3p0")
    channels = _linked("C", (100, 48, 96, 128, 160, 192, 192, 32))
    layers = [
        f"{pool}c1 {shape} {geometry} R {norm}b?"
        for pool, shape, geometry in zip(before, channels, geometries, strict=True)
    ]
    names = [*_numbered("voice_conv", layers[:4]), *_numbered("kws_conv", layers[4:])]
    return "\n".join([*names, f"fc fc 384>N - {bias}WIDE"])


def short_words(padded: str, last: str, features: int) -> str:
    """Return the rows of the third network for spoken words; `padded`: layers that may pad."""
    return f"""
        voice_conv1 c1 C>100 k1p0 R b?
        voice_conv2 c1 100>96 k3p0 R b?
        drop2 drop 0.2
        voice_conv3 max2/2 c1 96>64 {padded} R b?
        voice_conv4 c1 64>48 k3p0 R b?
        drop4 drop 0.2
        kws_conv1 max2/2 c1 48>64 {padded} R b?
        kws_conv2 c1 64>96 k3p0 R b?
        drop6 drop 0.2
        kws_conv3 avg2/2 c1 96>100 {padded} R b?
        kws_conv4 max2/2 c1 100>64 {last} R b?
        fc fc {features}>N - b? WIDE
    """


def sequential(depths: list[int], widths: list[int], kernel: int, rank: int) -> str:
    """Return the rows of a network of units: each but the first begins with a pool."""
    made, channels = [], "C"
    for unit, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for index in range(1, depth + 1):
            pool = "max2/2 " if unit > 1 and index == 1 else ""
            shape = f"{channels}>{width} k{kernel}p{kernel // 2}"
            made.append(f"conv{unit}_{index} {pool}c{rank} {shape} R BN b?")
            channels = str(width)
    return "\n".join([*made, "fc fc 512>N - b? WIDE"])


CHAINS: Final[dict[str, str]] = {
    "ai85net5": digits(60, 60, 56, 12),
    "ai85net6": digits(60, 60, 696, 12, last="conv5 as192x1x1 c2 192>N k1p0 -\nflat flat"),
    "ai85netwide": digits(128, 60, 56, 12),
    "ai85net80wide": digits(80, 60, 56, 12),
    "ai85net80expansion": digits(16, 80, 16, 12),
    "ai85netextrasmall": """
        conv1 c2 C>8 k3p1 R b?
        conv2 max2/2 c2 8>8 k3p2 R b?
        conv3 max4/4 c2 8>8 k3p1 R b?
        fc fc 128>N - b WIDE
    """,
    "digitsnet": """
        conv1 c2 C>16 k3p1 R b
        conv2 max2/2 c2 16>32 k3p1 R b
        fc fc 512>N - b WIDE
    """,
    "digitsautoencoder": """
        conv1 c2 C>8 k3p1 R b
        conv2 max2/2 c2 8>4 k3p1 R b
        up t2 4>8 k3p1 - b
        conv3 c2 8>C k3p1 - b
    """,
    "watchnet": """
        conv1 c1 C>32 k5p2 R b
        conv2 max4/4 c1 32>32 k5p2 R b
        conv3 max4/4 c1 32>32 k3p1 R b
        fc fc 256>N - b WIDE
    """,
    "ai85nascifarnet": """
        conv1_1 c2 C>64 k3p1 R bn b?
        conv1_2 c2 64>32 k1p0 R bn b?
        conv1_3 c2 32>64 k3p1 R bn b?
        conv2_1 max2/2 c2 64>32 k3p1 R bn b?
        conv2_2 c2 32>64 k1p0 R bn b?
        conv3_1 max2/2 c2 64>128 k3p1 R bn b?
        conv3_2 c2 128>128 k1p0 R bn b?
        conv4_1 max2/2 c2 128>64 k3p1 R bn b?
        conv4_2 c2 64>128 k3p1 R bn b?
        conv5_1 max2/2 c2 128>128 k1p0 R bn b?
        fc fc 512>N - b WIDE
    """,
    "ai85simplenet": simple(*SIMPLE, norm="BN "),
    "ai85simplenetwide2x": simple(
        24, 32, 32, 32, 32, 32, 64, 64, 64, 128, 512, 192, 192, norm="BN "
    ),
    "ai85kws20net": """
        voice_conv1 c1 C>100 k1p0 R b?
        voice_conv2 c1 100>100 k1p0 R b?
        voice_conv3 c1 100>50 k1p0 R b?
        voice_conv4 c1 50>16 k1p0 R b?
        kws_conv1 as16x16x8 c2 16>32 k3p1 R b?
        kws_conv2 c2 32>64 k3p1 R b?
        kws_conv3 c2 64>64 k3p1 R b?
        kws_conv4 c2 64>30 k3p1 R b?
        kws_conv5 c2 30>7 k3p1 R b?
        fc fc 896>N - b? WIDE
    """,
    "ai85kws20netv2": words(bias=""),
    "ai85kws20netv2batchnorm": words(norm="BN "),
    "ai85kws20netv3": short_words("k3p1", "k6p1", 256),
    "ai87kws20netv3": short_words("k3p0", "k3p0", 192),
    "ai85kws20netnas": """
        conv1_1 c1 C>128 k1p0 R bn b?
        conv1_2 c1 128>64 k3p1 R bn b?
        conv1_3 c1 64>128 k3p1 R bn b?
        conv2_1 max2/2 c1 128>128 k3p1 R bn b?
        conv2_2 c1 128>64 k1p0 R bn b?
        conv2_3 c1 64>128 k1p0 R bn b?
        conv3_1 max2/2 c1 128>128 k3p1 R bn b?
        conv3_2 c1 128>64 k5p2 R bn b?
        conv4_1 max2/2 c1 64>128 k5p2 R bn b?
        conv4_2 c1 128>128 k1p0 R bn b?
        conv5_1 max2/2 c1 128>128 k5p2 R bn b?
        conv5_2 c1 128>64 k3p1 R bn b?
        conv6_1 max2/2 c1 64>64 k5p2 R bn b?
        conv6_2 c1 64>128 k1p0 R bn b?
        fc fc 512>N - b? WIDE
    """,
    "ai85afsknet": """
        mfcc_conv1 c1 C>64 k5p2 R b?
        dropout1 drop 0.2
        mfcc_conv2 c1 64>32 k5p2 R b?
        mfcc_conv4 c1 32>16 k5p2 R b?
        fc fc 352>N - b?
    """,
    "ai85cdnet": """
        conv1 c2 C>16 k3p1 R b?
        conv2 max2/2 c2 16>32 k3p1 R b?
        conv3 max2/2 c2 32>64 k3p1 R b?
        conv4 max2/2 c2 64>32 k3p1 R b?
        conv5 max2/2 c2 32>32 k3p1 R b?
        conv6 c2 32>16 k3p1 R b?
        fc fc 1024>N - b WIDE
    """,
    "bayer2rgbnet": """
        l1 c2 C>3 k1p0 -
        l2 t2 3>3 k3p1 -
        l3 c2 3>3 k3p1 -
    """,
    "ai85faceidnet": """
        conv1 c2 C>16 k3p1 R
        conv2 max2/2 c2 16>32 k3p1 R
        conv3 max2/2 c2 32>32 k3p1 R b?
        conv4 max2/2 c2 32>64 k3p1 R b?
        conv5 max2/2 c2 64>64 k3p1 R b?
        conv6 c2 64>64 k3p1 R b?
        conv7 c2 64>64 k3p1 R b?
        conv8 max2/2 c2 64>512 k1p0 -
        avgpool avg5,3/1
    """,
    "ai85nasnet_sequential_cifar100": sequential([4, 3, 3, 3, 2], [64, 64, 128, 128, 128], 3, 2),
    "ai85nasnet_sequential_kws20": sequential([3, 3, 2, 2, 2, 2], [128] * 6, 5, 1),
}
"""Rows of each architecture; `C` input channels, `N` classes."""
