"""The options that give a step its data: a sample to prove it on, inputs to calibrate with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from ai8xc.cli.headings import DEBUGGING, INPUT, adding, option

if TYPE_CHECKING:
    from ai8xc.ir.types import Array


class DataArguments(TypedDict):
    """The values of `data_options`."""

    sample: Path | None
    calibration: Path | None
    prove: bool


calibration_option = option(
    INPUT,
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Typical inputs as `.npz`: array `x`, or one array for each input by name.",
)

sample_option = option(
    INPUT,
    *("--sample", "--sample-input", "sample"),
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One input as `.npy`, C x H x W or C x L (or array `sample` of an `.npz`).",
)


data_options = adding(
    (
        sample_option,
        calibration_option,
        option(
            DEBUGGING,
            "--prove",
            is_flag=True,
            help="Prove each step on the sample, or on random input.",
        ),
    )
)
"""Adds the options to a command."""


def sample(arguments: DataArguments) -> Array | None:
    """Return the array in the sample file."""
    return read_sample(arguments["sample"])


def read_sample(path: Path | None) -> Array | None:
    """Return the array in a sample file."""
    from ai8xc.files import read_array, read_arrays, unusable

    if path is not None and not path.exists():
        from ai8xc.ir.diag import Rejected
        from ai8xc.ir.loc import UNKNOWN
        from ai8xc.rules.description.of_samples import INP_FILE

        raise Rejected([INP_FILE.at(UNKNOWN, name=path.name)], unusable=True)
    if path is None or path.suffix.lower() != ".npz":
        return None if path is None else read_array(path)
    arrays = {name: data.array for name, data in read_arrays(path).items()}
    if len(arrays) != 1 and "sample" not in arrays:
        raise unusable(path.name, "it holds several arrays, and none is called `sample`")
    return arrays.get("sample", next(iter(arrays.values())))


def calibration(arguments: DataArguments) -> dict[str, Array] | None:
    """Return the arrays in the calibration file."""
    return read_calibration(arguments["calibration"])


def read_calibration(path: Path | None) -> dict[str, Array] | None:
    """Return the arrays in a calibration file by name."""
    from ai8xc.files import read_arrays

    if path is None:
        return None
    return {name: data.array for name, data in read_arrays(path).items()}


def rerun(arguments: DataArguments, load: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the arguments that repeat a failure besides passes and device."""
    found = tuple(word for path in load for word in ("--load", str(path)))
    if arguments["prove"]:
        found += ("--prove",)
    if arguments["sample"]:
        found += ("--sample", str(arguments["sample"]))
    if arguments["calibration"]:
        found += ("--calibration", str(arguments["calibration"]))
    return found
