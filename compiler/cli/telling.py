"""The options that tell more about what was compiled; their names are the vendor's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

import click

from ai8xc.cli.headings import DEBUGGING, OUTPUT, adding, option
from ai8xc.cli.network import Pattern
from ai8xc.cli.tables import project_tables, tensor_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ai8xc.cli.common import Report
    from ai8xc.driver import Result
    from ai8xc.ir.diag import Diagnostic

LOG = "log.txt"
"""The usual name of the file that keeps what was told."""


class FileName(Pattern):
    """The name of a file without a folder."""

    name = "name of a file"
    form = r"[A-Za-z0-9_.-]*[A-Za-z0-9]"


class TellingArguments(TypedDict):
    """The values of `telling_options`."""

    verbose: bool
    display_checkpoint: bool
    no_warn_zero: bool
    ignore_mlator_warning: bool
    log: bool
    log_filename: str | None
    log_intermediate: bool
    sample_numpy_filename: str | None


telling_options = adding(
    (
        option(
            OUTPUT,
            "--sample-numpy-filename",
            type=FileName(),
            metavar="NAME.npy",
            help="Also write the output for the sample, as integers.",
        ),
        option(
            DEBUGGING,
            *("-v", "--verbose", "--debug-latency", "verbose"),
            is_flag=True,
            help="Print layers, memory and cycles.",
        ),
        option(
            DEBUGGING,
            "--display-checkpoint",
            is_flag=True,
            help="Print shapes, ranges, widths and shifts of weights and biases.",
        ),
        option(
            DEBUGGING,
            *("--log-intermediate", "--log-pooling", "log_intermediate"),
            is_flag=True,
            help="Write what each layer gives, and its pooled data, as `layers.npz`.",
        ),
        option(
            DEBUGGING,
            "--no-warn-zero",
            is_flag=True,
            help="Do not tell layers that give nothing but 0.",
        ),
        option(
            DEBUGGING,
            "--ignore-mlator-warning",
            is_flag=True,
            help="Do not tell outputs that the byte transposer cannot unload.",
        ),
        option(
            DEBUGGING,
            *("-L", "--log/--no-log"),
            default=False,
            help="Keep in the project, as `log.txt`, what was told.",
        ),
        option(
            DEBUGGING,
            "--log-filename",
            type=FileName(),
            metavar="NAME",
            help="Another name for it; with `--log`.",
        ),
    )
)
"""Adds the options to a command."""


def also_emitted(arguments: TellingArguments) -> frozenset[str]:
    """Return the kinds of files that the options want, besides those of `--emit`."""
    return frozenset({"layers"}) if arguments["log_intermediate"] else frozenset()


def worth_telling(found: list[Diagnostic], arguments: TellingArguments) -> list[Diagnostic]:
    """Return the findings without the hints that nobody wants."""
    unwanted: tuple[str, ...] = ("KAT-ZERO",) if arguments["no_warn_zero"] else ()
    unwanted += ("MLATOR-",) if arguments["ignore_mlator_warning"] else ()
    return [finding for finding in found if not finding.rule.id.startswith(unwanted)]


def tell(result: Result, arguments: TellingArguments, report: Report) -> list[str]:
    """Return the lines to print; add the files that are wanted to the result."""
    lines = list(_lines(result, arguments))
    name = arguments["sample_numpy_filename"]
    if name is not None:
        result.files[name] = _output(result)
    if arguments["log"] or arguments["log_filename"]:
        tables = _lines(result, {**arguments, "verbose": True})
        text = "\n".join(tables) + "\n\n" + report.document(colour=False)
        result.files[arguments["log_filename"] or LOG] = text.encode()
    return lines


def _lines(result: Result, arguments: TellingArguments) -> Iterator[str]:
    from ai8xc.files import MANIFEST

    if arguments["verbose"] and MANIFEST in result.files:
        yield from project_tables(json.loads(result.files[MANIFEST]))
    if arguments["display_checkpoint"] and result.network is not None:
        yield from tensor_table(result.network)


def _output(result: Result) -> bytes:
    """Return the last output for the sample as `.npy`."""
    import io

    import numpy as np

    from ai8xc.backends.ai8x.emit_registers import memory_arrays

    if result.registers is None:
        raise click.UsageError("`--sample-numpy-filename` wants files for a device")
    arrays = memory_arrays(result.registers)
    outputs = [array for key, array in arrays.items() if key.startswith("output")]
    content = io.BytesIO()
    np.save(content, outputs[-1])
    return content.getvalue()
