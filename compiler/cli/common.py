"""What the commands share: options, and how findings and mistakes of ours are told."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from ai8xc.cli.headings import OUTPUT, TARGET, F, option

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.ir.diag import Diagnostic
    from ai8xc.ir.passes import PassFailed

Format = Literal["text", "json", "sarif"]

REJECTED: Final = 1
UNUSABLE: Final = 2
INTERNAL: Final = 70
"""Exit code of a mistake of ours (EX_SOFTWARE of sysexits.h)."""


def format_option(*choices: str) -> Callable[[F], F]:
    """The option `--format`."""
    return option(
        OUTPUT,
        "--format",
        "form",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="How findings are written.",
    )


load_option = option(
    TARGET,
    "--load",
    multiple=True,
    is_eager=True,  # it may bring the device that another option names
    type=click.Path(path_type=Path),
    help="Import this Python file first: it registers passes or backends.",
)


html_option = option(
    OUTPUT,
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the report as one page of HTML.",
)


class DeviceName(click.ParamType["Device"]):
    """A device by name or alias."""

    name = "device"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Device:
        """Return the description of the device, perhaps of one that a plug-in brings."""
        from ai8xc.device import canonical_name, load_device
        from ai8xc.ir.diag import Rejected

        try:
            return load_device(canonical_name(str(value)))
        except KeyError:
            from ai8xc.plugins import load_backends
        try:
            load_backends(ctx.params.get("load", ()) if ctx else ())
            return load_device(str(value))
        except KeyError as error:
            self.fail(str(error.args[0]), param, ctx)
        except Rejected as rejected:
            self.fail(rejected.diagnostics[0].message, param, ctx)


def device_option(default: str | None = None) -> Callable[[F], F]:
    """The option `--device`."""
    return option(
        TARGET,
        "--device",
        type=DeviceName(),
        default=default,
        show_default=default is not None,
        help="The chip, max78000 or max78002 (see `ai8xc devices`).",
    )


def say(text: str) -> None:
    """Print a line that is not the result of the command."""
    click.echo(text, err=True)


@dataclass
class Report:
    """The findings of one command, told when it ends.

    `source` names the user's file, `text` is its content where it is `.ir` text, `effect` what an
    error means for the outputs. Findings go to the standard error, or to the standard output
    where they are what the command is for (`to_output`). `rerun` are arguments that repeat a
    mistake of ours, besides passes and device.
    """

    source: str
    form: Format = "text"
    device: Device | None = None
    effect: str = ""
    to_output: bool = False
    text: str = ""
    rerun: tuple[str, ...] = ()
    told: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def tell(self) -> None:
        """Write the findings, unless the command has told what it found in its own way."""
        if self.told:
            return
        stream = sys.stdout if self.to_output else sys.stderr
        written = self.document(stream.isatty() and not os.environ.get("NO_COLOR"))
        if written:
            stream.write(written)
            stream.flush()

    def document(self, colour: bool) -> str:
        """Return the findings in the wanted format; nothing for text without findings."""
        if self.form == "json":
            from ai8xc.ir.report_json import to_json

            return to_json(self.diagnostics, self.device.name if self.device else None)
        if self.form == "sarif":
            from ai8xc import __version__
            from ai8xc.ir.report_json import to_sarif

            return to_sarif(self.diagnostics, __version__)
        if not self.diagnostics:
            return ""
        from ai8xc.ir.report import Paint, render_all

        paint = Paint(colour)
        return render_all(self.diagnostics, self.source, paint, self.text, self.effect)


@contextmanager
def reporting(report: Report) -> Iterator[Report]:
    """Run the body of a command; tell its findings and leave with the exit code they ask for."""
    from ai8xc.ir.diag import Rejected, errors
    from ai8xc.ir.passes import PassFailed

    code = 0
    try:
        yield report
    except Rejected as rejected:
        known = {id(diagnostic) for diagnostic in report.diagnostics}
        report.diagnostics += [d for d in rejected.diagnostics if id(d) not in known]
        code = UNUSABLE if rejected.unusable else REJECTED
    except PassFailed as failed:
        write_reproducer(failed, report)
        code = INTERNAL
    report.tell()
    if code or errors(report.diagnostics):
        raise click.exceptions.Exit(code or REJECTED)


def write_reproducer(failed: PassFailed, report: Report) -> None:
    """Write `crash.ir`, whose first line repeats the failure, and say so."""
    from ai8xc.files import ir_files, write_files

    cause = failed.__cause__
    why = f"{type(cause).__name__}: {cause}" if cause else str(failed)
    files = ir_files("crash", failed.graph, reproducer_head(failed.left, report, why))
    write_files(Path.cwd(), files)
    click.echo(f"internal error: {failed}\n{why}", err=True)
    click.echo(
        "   = note: this is a mistake of ai8xc (or of a loaded pass), not of the model\n"
        "   = help: `crash.ir` repeats it; its first line is the command. Please report it",
        err=True,
    )


def reproducer_head(left: Sequence[object], report: Report, why: str) -> str:
    """Return the comment lines at the top of a reproducer."""
    device = ("--device", report.device.name) if report.device else ()
    arguments = ("opt", *device, *report.rerun, "--passes", ",".join(map(str, left)))
    comment = "\n".join(f"// {line}" for line in why.splitlines())
    return f"// RUN: ai8xc {shlex.join(arguments)}\n{comment}\n"
