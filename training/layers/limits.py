"""What the layers of each device may look like (training facts, section 1.8).

Memories, channel counts and placement are the compiler's business; these limits are those that a
single layer has by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ai8xc.training.layers.errors import LayerError

WEIGHT_BITS: Final = (1, 2, 4, 8)
MAX_POOL: Final = 16
MAX_LINEAR: Final = 1024
Size = int | Sequence[int]


@dataclass(frozen=True)
class Limits:
    """Limits that differ between the devices."""

    groups: bool
    pool_dilation: int
    padded_conv1d_channels: int | None
    """Input channels up to which a 1-D convolution may be padded; None: any number."""


LIMITS: Final = {
    "max78000": Limits(groups=False, pool_dilation=1, padded_conv1d_channels=None),
    "max78002": Limits(groups=True, pool_dilation=16, padded_conv1d_channels=64),
}


def require(condition: bool, argument: str, message: str) -> None:
    """Raise `LayerError` unless the condition holds."""
    if not condition:
        raise LayerError(argument, message)


def in_range(argument: str, value: int, low: int, high: int) -> int:
    """Return an integer within bounds (inclusive); raises `LayerError`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    require(whole and low <= value <= high, argument, f"{value!r} is not in {low}..{high}")
    return value


def checked_groups(device: str, groups: int) -> int:
    """Return a number of groups; raises `LayerError` where the device has none."""
    allowed = groups == 1 or LIMITS[device].groups
    require(allowed, "groups", f"{device} has no grouped or depthwise convolutions")
    return groups


def square(argument: str, value: Size) -> int:
    """Return the one size of a square; raises `LayerError` when the sides differ."""
    if isinstance(value, int):
        return value
    sides = {int(side) for side in value}
    require(len(sides) == 1, argument, f"{tuple(value)} differs between the axes")
    return sides.pop()


@dataclass(frozen=True)
class Window:
    """A pooling window: sizes per axis, one stride for both axes, one dilation."""

    size: tuple[int, ...]
    stride: int
    dilation: int


def pool_window(device: str, kind: str, axes: int, window: tuple[Size, Size | None, int]) -> Window:
    """Return a checked pooling window from (size, stride, dilation)."""
    size, stride, dilation = window
    sides = (size,) * axes if isinstance(size, int) else tuple(int(side) for side in size)
    require(len(sides) == axes, "pool_size", f"{size!r} does not have {axes} axes")
    for side in sides:
        in_range("pool_size", side, 1, MAX_POOL)
    step = square("pool_stride", sides if stride is None else stride)
    in_range("pool_stride", step, 1, MAX_POOL)
    most = LIMITS[device].pool_dilation if kind == "Max" else 1
    return Window(
        sides, step, in_range("pool_dilation", square("pool_dilation", dilation), 1, most)
    )
