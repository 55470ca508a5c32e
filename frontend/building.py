"""What the importers of framework models share: ops with names, places and checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend import rules
from ai8xc.frontend.names import Names
from ai8xc.ir.core import Data, Op
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

MAX_VALUES: Final = 2**27
"""Largest tensor that is imported: far beyond the devices, half a gigabyte of floats."""

MAX_AXES: Final = 16
"""Most axes of a tensor: those of two together are still an array."""

KNOWN_LIMIT: Final = 4096
"""Values of at most this many numbers are computed at import where they are constant: shapes."""


class Builder:
    """Takes in the ops that converters make: names, locates and checks them.

    `known` has the values of ops that are constant and small.
    """

    def __init__(self) -> None:
        self.names = Names()
        self.known: dict[Op, Array] = {}

    def adopt(self, made: Op, wanted: str, loc: Loc, claimed: str | None = None) -> Op:
        """Return the result of a converter with names and locations, checked.

        The op gets the name `wanted`, or `claimed` where that has been given out already; those
        made on the way to it are named after it and their kind.
        """
        new: dict[Op, Op] = {}
        for op in _unnamed(made):
            final = op.with_operands(new)
            name = wanted if op is made else f"{wanted}.{op.opcode.partition('.')[2]}"
            name = (claimed if op is made else None) or self.names.claim(name)
            new[op] = dataclasses.replace(final, name=name, loc=loc)
            self.check(new[op])
        return new.get(made, made)

    def check(self, op: Op) -> None:
        """Raise `Rejected` for an op that is wrong; compute it if it is constant and small."""
        findings = list(op.verify())
        if findings:
            raise Rejected(findings)
        if min(op.type.shape, default=1) < 1 and not isinstance(op, nn.Constant):
            raise Rejected([rules.EMPTY.at(op, name=op.name, shape=list(op.type.shape))])
        if len(op.type.shape) > MAX_AXES:
            raise Rejected([rules.MANY_AXES.at(op, name=op.name, count=len(op.type.shape))])
        if op.type.size > MAX_VALUES:
            raise Rejected([rules.TOO_LARGE.at(op, name=op.name, size=op.type.size)])
        operands = [self.constant(operand) for operand in op.operands]
        if op.operands and op.type.size <= KNOWN_LIMIT and all(a is not None for a in operands):
            try:
                with np.errstate(all="raise"):
                    self.known[op] = op.compute(*(a for a in operands if a is not None))
            except ArithmeticError:
                return  # a division by zero: the value is not known, whoever needs it says so

    def constant(self, op: Op) -> Array | None:
        """Return the value of an op where it is constant and small."""
        if isinstance(op, nn.Constant) and op.type.size <= KNOWN_LIMIT:
            return op.value.array
        return self.known.get(op)


def constant(array: Array) -> nn.Constant:
    """Return a constant op."""
    return nn.Constant(Data(array))


def unusable_constants(ops: Iterable[Op]) -> Iterator[Diagnostic]:
    """Yield the constants that are empty or that no integer can stand for."""
    for op in ops:
        if isinstance(op, nn.Constant) and not op.type.size:
            yield rules.EMPTY.at(op, name=op.name, shape=list(op.type.shape))
        if isinstance(op, nn.Constant) and op.type.is_float:
            count = int(np.count_nonzero(~np.isfinite(op.value.array)))
            if count:
                yield rules.NOT_FINITE.at(op, name=op.name, count=count)


def located(finding: Diagnostic, loc: Loc) -> Diagnostic:
    """Return a finding about an op in the making with the place of its node."""
    return finding if finding.loc.nodes else dataclasses.replace(finding, loc=loc, subject=None)


def _unnamed(op: Op) -> list[Op]:
    """Return the ops that a converter has just made, each behind its operands."""
    if op.name:
        return []
    found: list[Op] = []
    for operand in op.operands:
        found.extend(made for made in _unnamed(operand) if made not in found)
    return [*found, op]
