"""Ops that move values and change none."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import moves, shapes
from ai8xc.dialects.moves import in_turn, turns_fail
from ai8xc.dialects.q.common import equal_scales
from ai8xc.ir.core import op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array


@op("q.reshape")
class Reshape(moves.Reshape):
    """The same values, row-major, in another shape; see `nn.reshape`."""


@op("q.transpose")
class Transpose(moves.Transpose):
    """Axes in another order."""


@op("q.concat")
class Concat(moves.Concat):
    """Tensors of one scale joined along `axis`.

    `turn` > 0: so many channels of each of them in turn, until all are taken.
    """

    turn: int = 0

    def compute(self, *operands: Array) -> Array:
        """Return the joined array."""
        return in_turn(operands, self.turn) if self.turn else super().compute(*operands)

    def verify(self) -> Iterator[Diagnostic]:
        """All operands mean the same by one integer step, and turns come out even."""
        yield from equal_scales(self, self.xs)
        why = turns_fail(self.xs, self.turn)
        if why:
            yield shapes.SHAPES.at(self, opcode=self.opcode, why=why)


@op("q.slice")
class Slice(moves.Slice):
    """Every `steps[i]`-th value from `starts[i]` up to `ends[i]`; see `nn.slice`."""


@op("q.pad")
class Pad(moves.Pad):
    """Zeros added around (or, where negative, values cropped off) every axis."""


@op("q.resize")
class Resize(moves.Resize):
    """Each value repeated `scales[i]` times along spatial axis i."""
