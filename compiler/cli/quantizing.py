"""The options of the way from real numbers to integers."""

from __future__ import annotations

import re
from typing import Final, TypedDict

import click

from ai8xc.cli.headings import QUANTISATION, adding, option


class QuantizeArguments(TypedDict):
    """The values of `quantize_options`."""

    weight_bits: str | None
    pipeline: str | None


ON: Final = "on"
"""The value of `--pipeline` without a text: the vendor's option of that name."""


def passes(arguments: QuantizeArguments) -> str | None:
    """Return the text of the passes, None for the default ones."""
    return None if arguments["pipeline"] == ON else arguments["pipeline"]


quantize_options = adding(
    (
        option(
            QUANTISATION,
            "--weight-bits",
            metavar="N[,LAYER=N]",
            help="Bits of weights: 8, 4, 2 or 1, by layer.",
        ),
        option(
            QUANTISATION,
            "--pipeline",
            is_flag=False,
            flag_value=ON,
            type=str,
            metavar="TEXT",
            help="Passes instead of the default ones; alone: use the pipeline of max78002.",
        ),
    )
)
"""Adds the options to a command."""


def settings(arguments: QuantizeArguments) -> dict[str, object]:
    """Return the options of the pass `quantize` that `--weight-bits` stands for."""
    text = arguments["weight_bits"]
    if text is None:
        return {}
    found: dict[str, object] = {}
    layers = []
    for part in text.split(","):
        if re.fullmatch(r"\d+", part):
            found["weight-bits"] = int(part)
        elif re.fullmatch(r".+=\d+", part):
            layers.append(part)
        else:
            raise click.BadParameter(
                f"`{part}` is neither N nor LAYER=N", param_hint="--weight-bits"
            )
    if layers:
        found["layer-bits"] = ",".join(layers)
    return found
