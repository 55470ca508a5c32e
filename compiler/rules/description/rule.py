"""How a rule of descriptions is declared."""

from __future__ import annotations

from typing import Unpack

from ai8xc.ir.diag import About, Rule, Severity, declare


def described(
    id: str,
    section: str,
    message: str,
    explanation: str,
    severity: Severity = "error",
    **about: Unpack[About],
) -> Rule:
    """Add a rule about descriptions to the catalogue, with the section of its source."""
    about.setdefault("level", "network" if id.startswith("NET") else "file")
    about["source"] = f"hardware semantics, section {section}"
    return declare(id, message, explanation, severity, **about)
