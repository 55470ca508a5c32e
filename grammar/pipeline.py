"""Text to pipelines, without the parser generator where the text is only names."""

from __future__ import annotations

import re
from typing import Final

from ai8xc.ir.passes import PassSpec

_NAMES: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*(,[A-Za-z][A-Za-z0-9_.:-]*)*")


def read_pipeline(text: str) -> list[PassSpec]:
    """Return the passes that a pipeline names; raises `Rejected` on a syntax error.

    Most pipelines are names and commas; to load and build the parser for them would take longer
    than most of the passes.
    """
    if _NAMES.fullmatch(text):
        return [PassSpec(name) for name in text.split(",")]
    from ai8xc.grammar import reader

    return reader.read_pipeline(text)
