"""The sample input that a program is built and checked with."""

from dataclasses import dataclass

from ai8xc.ir.types import Array


@dataclass(frozen=True, eq=False)
class Sample:
    """Real values for each input of the network, with a batch axis of 1."""

    values: tuple[Array, ...]
