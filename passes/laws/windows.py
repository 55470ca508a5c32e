"""Questions about windows: padding, and what a window can see."""

from __future__ import annotations

from ai8xc.dialects import nn
from ai8xc.ir.core import Op

Pool = nn.MaxPool | nn.AveragePool


def is_padded(op: Op) -> bool:
    """Whether an op with windows adds anything around its data."""
    match op:
        case nn.MaxPool() | nn.AveragePool():
            return any(op.full_pads())
        case nn.Conv() | nn.ConvTranspose():
            return any(op.pads)
        case _:
            return False


def reads_only_padding(pool: Pool) -> bool:
    """Whether some window of a pool holds nothing but padding."""
    sizes, counts = pool.x.type.shape[2:], pool.type.shape[2:]
    g, full = pool.geometry, pool.full_pads()
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        for position in range(count):
            begin = position * g.strides[axis] - full[axis]
            taps = range(begin, begin + pool.kernel[axis] * g.dilations[axis], g.dilations[axis])
            if not any(0 <= tap < size for tap in taps):
                return True
    return False
