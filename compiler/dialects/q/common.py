"""What the ops of the integer level share: rules and small helpers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ai8xc.ir.core import Op
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.types import Array, same_scale

WEIGHT_BITS: Final[dict[str, int]] = {"i8": 8, "i4": 4, "i2": 2, "i1": 1, "bin": 1}
"""Bits of each weight type; `bin` is -1 or +1, `i1` is -1 or 0."""

SCALES_DIFFER = declare(
    "Q001",
    "the operands of `{opcode}` have different scales: {scales}",
    """Tensors that meet in an element-wise op or a concat are added or joined as integers, so one
    integer step must mean the same real value in all of them. The quantiser unifies the scales of
    such tensors; in text, give them the same scale.""",
)
SHIFT_RANGE = declare(
    "Q002",
    "output shift {shift} with {bits}-bit weights is a total shift of {total}",
    """The hardware shifts an accumulator by the output shift and by 8 minus the weight bits, in
    total between -15 and 15.""",
)
OUT_OF_RANGE = declare(
    "Q003",
    "`%{name}` holds {value}, which {element} cannot",
    "Integers must lie in the range of their element type.",
)
WRONG_ELEMENT = declare(
    "Q004",
    "`{opcode}` cannot read {element} data from `%{name}`",
    """Layers read 8-bit data. A layer with wide (32-bit) output can only be an output of the
    network.""",
)


def narrow(values: Array) -> Array:
    """Return 8-bit values in 8-bit storage."""
    return values.astype(np.int8)


def cannot_read(op: Op, operand: Op) -> Exception:
    """Return the refusal of an operand that is not 8-bit data."""
    element = operand.type.element
    finding = WRONG_ELEMENT.at(op, opcode=op.opcode, element=element, name=operand.name)
    return Rejected([finding])


def equal_scales(op: Op, xs: tuple[Op, ...]) -> Iterator[Diagnostic]:
    """Yield a finding where the operands mean different things by one integer step."""
    if not all(same_scale(xs[0].type.scale, x.type.scale) for x in xs):
        scales = ", ".join(f"%{x.name} {x.type.scale!r}" for x in xs)
        yield SCALES_DIFFER.at(op, opcode=op.opcode, scales=scales)
