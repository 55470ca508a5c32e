"""Rules and diagnostics: what may be wrong with a user's model, and how it is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypedDict, Unpack

from ai8xc.ir.loc import UNKNOWN, Loc

if TYPE_CHECKING:
    from ai8xc.ir.core import Op

Severity = Literal["error", "warning", "note"]
Level = Literal["tool", "file", "nn", "q", "ai8x", "network", "reg"]
"""Where a rule is checked: on files, on ops of a level, on a whole placed network; `tool` rules
are about text, passes and arguments."""

_LEVELS: Final[Mapping[str, Level]] = {
    "NN": "nn",
    "Q": "q",
    "AX": "ai8x",
    "REG": "reg",
    "CK": "file",
}
"""Level of a rule by the letters of its number."""


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong: a stable id, its message and the manual's text about it.

    `title` names it in lists, `source` says where the fact is documented, `cure` what helps as a
    rule. `limit` is what the rule allows, a text with fields of a device `d`:
    `"1 to {d.max_pool}"`; with a `feature` it is allowed on devices that have it only.
    """

    id: str
    message: str
    explanation: str
    severity: Severity = "error"
    title: str = ""
    level: Level = "tool"
    source: str = ""
    limit: str = ""
    feature: str = ""
    cure: str = ""

    def at(
        self,
        place: Op | Loc,
        *,
        attribute: str | None = None,
        notes: Iterable[str] = (),
        help: str | None = None,  # the field's name in every report
        cures: Iterable[Cure] = (),
        **values: object,
    ) -> Diagnostic:
        """Return a finding of this rule at an op or a location; `values` fill the message."""
        subject = None if isinstance(place, Loc) else place
        loc = place if isinstance(place, Loc) else place.loc
        message = self.message.format(**values)
        found = tuple(cures)
        if help is None and found:
            help = "; or ".join(cure.text for cure in found)
        return Diagnostic(
            self, message, loc, tuple(notes), help or self.cure or None, subject, attribute, found
        )


_WHO: Final[Mapping[str, str]] = {
    "compile": "`compile` does it",
    "fix": "`check --fix` does it",
    "you": "you change it",
}


@dataclass(frozen=True)
class Cure:
    """A change that makes a finding go away, and what it costs.

    `by` tells who applies it: `compile` by itself, `check --fix` in the model file, or you. An
    `exact` cure keeps every output; others need retraining, and `accuracy` says what to expect.
    `cycles` and `kernel_bytes` are added by the cure (negative: saved), None where that depends
    on the rest of the network.
    """

    text: str
    by: Literal["compile", "fix", "you"] = "you"
    exact: bool = False
    cycles: int | None = None
    data_bytes: int | None = None
    kernel_bytes: int | None = None
    accuracy: str = ""

    @property
    def cost(self) -> str:
        """What it costs and who applies it, in words."""
        amounts = (
            ("cycles", self.cycles),
            ("bytes of kernels", self.kernel_bytes),
            ("bytes of each data memory", self.data_bytes),
        )
        known = {unit: count for unit, count in amounts if count is not None}
        parts = [f"{count:+,} {unit}" for unit, count in known.items() if count]
        parts = parts or (["costs nothing"] if known else [])
        who = {
            "compile": "`compile` does it",
            "fix": "`check --fix` does it",
            "you": "you change it",
        }[self.by]
        effect = "same outputs, nothing is trained" if self.exact else self.accuracy
        return "; ".join(part for part in (", ".join(parts), who, effect) if part)


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
    cures: tuple[Cure, ...] = ()

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
_ID = re.compile(r"[A-Z]{1,4}\d{3}|[A-Z][A-Z0-9]*(-[A-Z0-9]+)*")


class About(TypedDict, total=False):
    """What the manual says of a rule besides its text; see `Rule`."""

    title: str
    level: Level
    source: str
    limit: str
    feature: str
    cure: str


def declare(
    id: str,
    message: str,
    explanation: str,
    severity: Severity = "error",
    **about: Unpack[About],
) -> Rule:
    """Add a rule to the catalogue. Ids are never reused."""
    if id in _RULES or not _ID.fullmatch(id):
        raise ValueError(f"rule id {id} is taken or malformed")
    about.setdefault("level", _LEVELS.get(id.rstrip("0123456789"), "tool"))
    about["cure"] = " ".join(about.get("cure", "").split())
    _RULES[id] = Rule(id, message, " ".join(explanation.split()), severity, **about)
    return _RULES[id]


def rules() -> Mapping[str, Rule]:
    """Return the rules of every module imported so far, by id."""
    return _RULES


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the findings that forbid going on."""
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == "error"]
