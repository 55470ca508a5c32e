"""Rules and diagnostics: what may be wrong with a user's model, and how it is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ai8xc.ir.loc import UNKNOWN, Loc

if TYPE_CHECKING:
    from ai8xc.ir.core import Op

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong: a stable id, its message and the manual's text about it."""

    id: str
    message: str
    explanation: str
    severity: Severity = "error"

    def at(
        self,
        place: Op | Loc,
        *,
        attribute: str | None = None,
        notes: Iterable[str] = (),
        help: str | None = None,  # the field's name in every report
        **values: object,
    ) -> Diagnostic:
        """Return a finding of this rule at an op or a location; `values` fill the message."""
        subject = None if isinstance(place, Loc) else place
        loc = place if isinstance(place, Loc) else place.loc
        message = self.message.format(**values)
        return Diagnostic(self, message, loc, tuple(notes), help, subject, attribute)


@dataclass(frozen=True)
class Diagnostic:
    """A finding: rule, message, place in the user's model, limits (notes) and cure (help).

    `subject` is the op it is about and `attribute` the field at fault, when there are such.
    """

    rule: Rule
    message: str
    loc: Loc = UNKNOWN
    notes: tuple[str, ...] = ()
    help: str | None = None
    subject: Op | None = None
    attribute: str | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: only errors stop a compilation."""
        return self.rule.severity

    def __str__(self) -> str:
        place = f" at {self.loc}" if str(self.loc) else ""
        return f"{self.severity}[{self.rule.id}]: {self.message}{place}"


class Rejected(Exception):  # noqa: N818 - the public name, as in `ai8xc.Rejected`
    """The model cannot be compiled, or the file not be used; `diagnostics` say why.

    `unusable` tells a file or argument that cannot be read from a model that breaks a rule.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], *, unusable: bool = False) -> None:
        self.diagnostics = list(diagnostics)
        self.unusable = unusable
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


_RULES: dict[str, Rule] = {}
_ID = re.compile(r"[A-Z]{1,4}\d{3}|[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")


def declare(id: str, message: str, explanation: str, severity: Severity = "error") -> Rule:
    """Add a rule to the catalogue. Ids are never reused."""
    if id in _RULES or not _ID.fullmatch(id):
        raise ValueError(f"rule id {id} is taken or malformed")
    _RULES[id] = Rule(id, message, " ".join(explanation.split()), severity)
    return _RULES[id]


def rules() -> Mapping[str, Rule]:
    """Return the rules of every module imported so far, by id."""
    return _RULES


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the findings that forbid going on."""
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
