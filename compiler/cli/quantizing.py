"""The options of the way from real numbers to integers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from ai8xc.cli.common import F

if TYPE_CHECKING:
    from ai8xc.ir.types import Array


class QuantizeArguments(TypedDict):
    """The values of `quantize_options`."""

    calibration: Path | None
    weight_bits: str | None
    pipeline: str | None


def quantize_options(command: F) -> F:
    """Add the options to a command."""
    options = (
        click.option(
            "--calibration",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Typical inputs as `.npz`: array `x`, or one array for each input by name.",
        ),
        click.option(
            "--weight-bits", metavar="N[,LAYER=N]", help="Bits of weights: 8, 4, 2 or 1, by layer."
        ),
        click.option("--pipeline", metavar="TEXT", help="Passes instead of the default ones."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def settings(arguments: QuantizeArguments) -> dict[str, dict[str, object]]:
    """Return the options of passes that `--weight-bits` stands for."""
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
    return {"quantize": found}


def calibration(arguments: QuantizeArguments) -> dict[str, Array] | None:
    """Return the arrays in the calibration file."""
    from ai8xc.files import read_arrays

    path = arguments["calibration"]
    if path is None:
        return None
    return {name: data.array for name, data in read_arrays(path).items()}
