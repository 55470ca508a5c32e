"""Architectures that are layers in a row. Source: training facts, section 6.1."""

from __future__ import annotations

from typing import Final

CHAINS: Final[dict[str, str]] = {
    "ai85net5": """
        conv1 c2 C>60 k3p1 R b?
        conv2 max2/2 c2 60>60 k3p2 R b?
        conv3 max2/2 c2 60>56 k3p1 R b?
        conv4 avg2/2 c2 56>12 k3p1 R b?
        fc fc 192>N - b WIDE
    """,
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
    "ai85simplenet": """
        conv1 c2 C>16 k3p1 R BN b?
        conv2 c2 16>20 k3p1 R BN b?
        conv3 c2 20>20 k3p1 R BN b?
        conv4 c2 20>20 k3p1 R BN b?
        conv5 max2/2 c2 20>20 k3p1 R BN b?
        conv6 c2 20>20 k3p1 R BN b?
        conv7 c2 20>44 k3p1 R BN b?
        conv8 max2/2 c2 44>48 k3p1 R BN b?
        conv9 c2 48>48 k3p1 R BN b?
        conv10 max2/2 c2 48>96 k3p1 R BN b?
        conv11 max2/2 c2 96>512 k1p0 R BN b?
        conv12 c2 512>128 k1p0 R BN b?
        conv13 max2/2 c2 128>128 k3p1 R BN b?
        conv14 c2 128>N k1p0 - b? WIDE
    """,
    "ai85simplenetwide2x": """
        conv1 c2 C>24 k3p1 R BN b?
        conv2 c2 24>32 k3p1 R BN b?
        conv3 c2 32>32 k3p1 R BN b?
        conv4 c2 32>32 k3p1 R BN b?
        conv5 max2/2 c2 32>32 k3p1 R BN b?
        conv6 c2 32>32 k3p1 R BN b?
        conv7 c2 32>64 k3p1 R BN b?
        conv8 max2/2 c2 64>64 k3p1 R BN b?
        conv9 c2 64>64 k3p1 R BN b?
        conv10 max2/2 c2 64>128 k3p1 R BN b?
        conv11 max2/2 c2 128>512 k1p0 R BN b?
        conv12 c2 512>192 k1p0 R BN b?
        conv13 max2/2 c2 192>192 k3p1 R BN b?
        conv14 c2 192>N k1p0 - b? WIDE
    """,
    "ai85kws20netv2": """
        voice_conv1 c1 C>100 k1p0 R b?
        voice_conv2 c1 100>48 k3p0 R b?
        voice_conv3 max2/2 c1 48>96 k3p1 R b?
        voice_conv4 c1 96>128 k3p0 R b?
        kws_conv1 max2/2 c1 128>160 k3p1 R b?
        kws_conv2 c1 160>192 k3p0 R b?
        kws_conv3 avg2/2 c1 192>192 k3p1 R b?
        kws_conv4 c1 192>32 k3p0 R b?
        fc fc 384>N - WIDE
    """,
    "ai85kws20netv2batchnorm": """
        voice_conv1 c1 C>100 k1p0 R BN b?
        voice_conv2 c1 100>48 k3p0 R BN b?
        voice_conv3 max2/2 c1 48>96 k3p1 R BN b?
        voice_conv4 c1 96>128 k3p0 R BN b?
        kws_conv1 max2/2 c1 128>160 k3p1 R BN b?
        kws_conv2 c1 160>192 k3p0 R BN b?
        kws_conv3 avg2/2 c1 192>192 k3p1 R BN b?
        kws_conv4 c1 192>32 k3p0 R BN b?
        fc fc 384>N - b? WIDE
    """,
    "ai85kws20netv3": """
        voice_conv1 c1 C>100 k1p0 R b?
        voice_conv2 c1 100>96 k3p0 R b?
        drop2 drop 0.2
        voice_conv3 max2/2 c1 96>64 k3p1 R b?
        voice_conv4 c1 64>48 k3p0 R b?
        drop4 drop 0.2
        kws_conv1 max2/2 c1 48>64 k3p1 R b?
        kws_conv2 c1 64>96 k3p0 R b?
        drop6 drop 0.2
        kws_conv3 avg2/2 c1 96>100 k3p1 R b?
        kws_conv4 max2/2 c1 100>64 k6p1 R b?
        fc fc 256>N - b? WIDE
    """,
    "ai87kws20netv3": """
        voice_conv1 c1 C>100 k1p0 R b?
        voice_conv2 c1 100>96 k3p0 R b?
        drop2 drop 0.2
        voice_conv3 max2/2 c1 96>64 k3p0 R b?
        voice_conv4 c1 64>48 k3p0 R b?
        drop4 drop 0.2
        kws_conv1 max2/2 c1 48>64 k3p0 R b?
        kws_conv2 c1 64>96 k3p0 R b?
        drop6 drop 0.2
        kws_conv3 avg2/2 c1 96>100 k3p0 R b?
        kws_conv4 max2/2 c1 100>64 k3p0 R b?
        fc fc 192>N - b? WIDE
    """,
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
}
"""Rows of each architecture; `C` input channels, `N` classes."""


def sequential(depths: list[int], widths: list[int], kernel: int, rank: int, features: int) -> str:
    """Return the rows of a network of units: each but the first begins with a pool."""
    made, channels = [], "C"
    for unit, (depth, width) in enumerate(zip(depths, widths, strict=True), 1):
        for index in range(1, depth + 1):
            pool = "max2/2 " if unit > 1 and index == 1 else ""
            shape = f"{channels}>{width} k{kernel}p{kernel // 2}"
            made.append(f"conv{unit}_{index} {pool}c{rank} {shape} R BN b?")
            channels = str(width)
    return "\n".join([*made, f"fc fc {features}>N - b? WIDE"])


CHAINS["ai85nasnet_sequential_cifar100"] = sequential(
    [4, 3, 3, 3, 2], [64, 64, 128, 128, 128], 3, 2, 512
)
CHAINS["ai85nasnet_sequential_kws20"] = sequential([3, 3, 2, 2, 2, 2], [128] * 6, 5, 1, 512)
