"""What the sanitizer reports: things a correct register program does not do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "uninitialised",  # the bus read a word that was never written, or that depends on one
    "outside-memory",  # an access to an address that no memory has
    "overwritten",  # a word was overwritten before its last reader
    "stream-buffer",  # a streaming buffer overlaps other data or is too small
    "unknown-register",  # no register at this address
    "reserved-bits",  # bits set that belong to no field
    "inconsistent",  # fields of a layer contradict each other
    "control",  # the state machine was driven in a wrong order
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation; `changes_results` is False when the numbers cannot depend on it."""

    kind: Kind
    message: str
    address: int | None = None
    layer: int | None = None
    changes_results: bool = True

    def __str__(self) -> str:
        """One line for a report."""
        where = "" if self.layer is None else f"layer {self.layer}: "
        at = "" if self.address is None else f" at {self.address:#010x}"
        return f"{self.kind}: {where}{self.message}{at}"


class FindingError(Exception):
    """Raised in place of recording a finding when the emulator is strict."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass
class Findings:
    """The findings of one emulator, in order, each once."""

    strict: bool = False
    items: dict[Finding, None] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Record a finding; raises FindingError when strict."""
        if self.strict:
            raise FindingError(finding)
        self.items.setdefault(finding)

    def __iter__(self) -> Iterator[Finding]:
        """All findings, oldest first."""
        return iter(self.items)
