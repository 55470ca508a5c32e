"""Ops that move values and change none."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.dialects import moves
from ai8xc.dialects.q.common import equal_scales
from ai8xc.ir.core import op
from ai8xc.ir.diag import Diagnostic


@op("q.reshape")
class Reshape(moves.Reshape):
    """The same values, row-major, in another shape; see `nn.reshape`."""


@op("q.transpose")
class Transpose(moves.Transpose):
    """Axes in another order."""


@op("q.concat")
class Concat(moves.Concat):
    """Tensors of one scale joined along `axis`."""

    def verify(self) -> Iterator[Diagnostic]:
        """All operands mean the same by one integer step."""
        yield from equal_scales(self, self.xs)


@op("q.slice")
class Slice(moves.Slice):
    """Every `steps[i]`-th value from `starts[i]` up to `ends[i]`; see `nn.slice`."""


@op("q.pad")
class Pad(moves.Pad):
    """Zeros added around (or, where negative, values cropped off) every axis."""


@op("q.resize")
class Resize(moves.Resize):
    """Each value repeated `scales[i]` times along spatial axis i."""
