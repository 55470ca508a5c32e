"""Options under headings: the help of a command that has many of them stays readable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., None])

TARGET: Final = "Target"
INPUT: Final = "Input and weights"
QUANTISATION: Final = "Quantisation"
LAYERS: Final = "Layers of a described network"
PLACEMENT: Final = "Placement"
HARDWARE: Final = "Hardware"
STREAMING: Final = "FIFOs and streaming"
CODE: Final = "Run time and C"
FILES: Final = "Files of the project"
OUTPUT: Final = "Output"
DEBUGGING: Final = "Debugging"
OTHER: Final = "Other"
HEADINGS: Final = (
    *(TARGET, INPUT, OUTPUT, QUANTISATION, LAYERS, PLACEMENT),
    *(HARDWARE, STREAMING, CODE, FILES, DEBUGGING, OTHER),
)
"""The headings in the order of the help."""


class HeadedOption(click.Option):
    """An option that stands under a heading."""

    def __init__(self, *names: Any, heading: str = OTHER, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.heading = heading


class HeadedCommand(click.Command):
    """A command whose help lists its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                heading = param.heading if isinstance(param, HeadedOption) else OTHER
                rows[heading].append(record)
        for heading, records in rows.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def option(heading: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """Return what adds an option under a heading to a command, as `click.option` does."""
    return click.option(*names, cls=HeadedOption, heading=heading, **attributes)


def adding(options: Iterable[Callable[[F], F]]) -> Callable[[F], F]:
    """Return what adds several options to a command, in this order."""
    ordered = list(options)

    def add(command: F) -> F:
        for each in reversed(ordered):
            command = each(command)
        return command

    return add
