"""What the operator of a layer reads: tensors, and what the layer does to them on the way in.

A value of the integer level that is only pooled, combined, joined or viewed differently is not
computed by a layer of its own: it is a feed, and each layer that reads it does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ai8xc.dialects.ai8x import Gather, Operation, Pool
from ai8xc.ir.core import Op

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Feed:
    """Tensors of the hardware level and the preparation in front of the operator.

    `shape` is that of the prepared value, channels x rows x columns. `flat`: the user sees the
    values as one axis. The other fields are those of `ai8x.Layer`.
    """

    xs: tuple[Op, ...]
    shape: Shape
    gather: Gather = "channels"
    turn: int = 0
    crop: tuple[int, int] = (0, 0)
    view: tuple[int, ...] = ()
    parts: int = 1
    eltwise: Operation = "none"
    pool: Pool | None = None
    pool_first: bool = True
    flat: bool = False

    @property
    def plain(self) -> bool:
        """Whether this is a tensor as it lies in memory."""
        return len(self.xs) == 1 and self.is_whole and self.pool is None

    @property
    def is_whole(self) -> bool:
        """Whether tensors are neither cropped, viewed differently nor combined."""
        return not self.view and self.crop == (0, 0) and self.parts == 1

    @property
    def joined(self) -> bool:
        """Whether this is nothing but tensors side by side on the channel axis."""
        side_by_side = self.gather == "channels" and not self.turn
        return self.is_whole and self.pool is None and side_by_side

    @property
    def has_holes(self) -> bool:
        """Whether tensors side by side leave processors free between them.

        Each starts at a multiple of four.
        """
        joins = len(self.xs) > self.parts and self.gather == "channels"
        return joins and any(x.type.shape[1] % 4 for x in self.xs[:-1])

    @property
    def pixels(self) -> int:
        """Rows times columns."""
        return self.shape[1] * self.shape[2]

    @property
    def raw_columns(self) -> int:
        """Columns in front of the pooling."""
        return self.view[2] if self.view else self.xs[0].type.shape[3]

    def fields(self) -> Mapping[str, object]:
        """Return the fields of a layer that reads this."""
        return {
            "xs": self.xs,
            "gather": self.gather,
            "turn": self.turn,
            "crop": self.crop,
            "view": self.view,
            "parts": self.parts,
            "eltwise": self.eltwise,
            "pool": self.pool,
            "pool_first": self.pool_first,
        }

    def pooled(self, pool: Pool, shape: Shape) -> Feed:
        """Return this behind a pool; operands that are combined are combined first."""
        combined_first = self.parts > 1 and pool.kernel != (1, 1)
        return replace(self, pool=pool, shape=shape, pool_first=not combined_first)


def combined(operation: Operation, feeds: Sequence[Feed]) -> Feed | None:
    """Return the element-wise combination of feeds, None where one layer cannot do it.

    Operands are tensors (or tensors side by side), or all of them pooled alike.
    """
    first = feeds[0]
    for feed in feeds:
        if feed.parts > 1 or feed.gather != "channels" or feed.turn or feed.has_holes:
            return None
        if (feed.pool, feed.crop, feed.view, feed.flat) != (
            first.pool,
            first.crop,
            first.view,
            first.flat,
        ):
            return None
    if first.view:  # the view of all operands has the channels of all
        channels = first.view[0] * len(feeds)
        first = replace(first, view=(channels, *first.view[1:]))
    xs = tuple(x for feed in feeds for x in feed.xs)
    return replace(first, xs=xs, parts=len(feeds), eltwise=operation)


def joined(feeds: Sequence[Feed]) -> Feed | None:
    """Return feeds side by side on the channel axis, None where one of them needs a layer."""
    if not all(feed.joined for feed in feeds):
        return None
    xs = tuple(x for feed in feeds for x in feed.xs)
    channels = sum(feed.shape[0] for feed in feeds)
    return Feed(xs, (channels, *feeds[0].shape[1:]))


def stacked(feeds: Sequence[Feed]) -> Feed | None:
    """Return feeds one below the other, None where one of them needs a layer."""
    if not all(feed.plain for feed in feeds):
        return None
    rows = sum(feed.shape[1] for feed in feeds)
    shape = (feeds[0].shape[0], rows, feeds[0].shape[2])
    return Feed(tuple(feed.xs[0] for feed in feeds), shape, gather="pixels", view=shape)
