"""`ai8xc check`: everything that is wrong with a model."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import (
    REJECTED,
    DeviceName,
    Format,
    Report,
    format_option,
    html_option,
    load_option,
    reporting,
)
from ai8xc.cli.data import calibration_option, read_calibration, read_sample, sample_option
from ai8xc.cli.described import (
    DescribedArguments,
    described,
    described_options,
    pass_settings,
    refuse_without_description,
)
from ai8xc.cli.fixing import fix_option, tell_fixes, write_fixed
from ai8xc.cli.headings import OUTPUT, TARGET, HeadedCommand, option
from ai8xc.cli.network import network, network_options
from ai8xc.cli.quantizing import QuantizeArguments, quantize_options

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.device import Device
    from ai8xc.driver import Options
    from ai8xc.ir.report_model import Survey


class Arguments(QuantizeArguments, DescribedArguments):
    """The arguments of the command, without those of the report."""

    calibration: Path | None
    sample: Path | None
    load: tuple[Path, ...]
    html: Path | None


@click.command(
    cls=HeadedCommand,
    epilog="""\b
Examples:
  ai8xc check net.onnx --device max78002
  ai8xc check net.onnx --device all --margin
  ai8xc check net.onnx --fix cured.onnx
  ai8xc check net.onnx --format sarif > net.sarif""",
)
@click.argument("model", type=click.Path(path_type=Path))
@option(
    TARGET,
    "--device",
    default="max78000",
    show_default=True,
    help="The chip (see `ai8xc devices`), or `all`: a report for each, and which fits.",
)
@option(OUTPUT, "--margin", is_flag=True, help="Show how far each resource is from its limit.")
@fix_option
@calibration_option
@sample_option
@quantize_options
@described_options
@network_options
@load_option
@html_option
@format_option("text", "json", "sarif")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    model: Path,
    device: str,
    margin: bool,
    fix: Path | None,
    form: Format,
    **arguments: Unpack[Arguments],
) -> None:
    """List all that is wrong with a model, and what each of its layers becomes.

    Every finding comes with its place in MODEL, the limit of the device and the cure. What cannot
    be imported or computed is reported and left out, so that the rules of all levels are checked
    at once. Leaves with 1 where an error is found, with 0 where the model can be compiled.
    """
    from ai8xc.device import device_names

    refuse_without_description(ctx, model)
    names = device_names() if device == "all" else (device,)
    if len(names) > 1 and form == "sarif":
        raise click.UsageError("a SARIF log is about one device")
    if len(names) > 1 and arguments["html"]:
        raise click.UsageError("a page is about one device")
    devices = [DeviceName().convert(name, None, ctx) for name in names]
    found = [_survey(model, chip, form, arguments) for chip in devices]
    done = write_fixed(model, fix, found) if fix else []
    for survey in found:
        _tell(model, survey, form, margin=margin)
    if len(found) > 1 and form == "text":
        from ai8xc.ir.report_page import comparison

        click.echo("\n" + "\n".join(comparison(found)))
    if fix and form == "text":
        tell_fixes(fix, done, [_survey(fix, chip, form, arguments) for chip in devices])
    ctx.exit(0 if all(survey.fits for survey in found) else REJECTED)


def _survey(model: Path, device: Device, form: Format, arguments: Arguments) -> Survey:
    """Return the verdict for one device; leaves with 2 for what cannot be used."""
    with reporting(Report(model.name, form, device, to_output=True)) as report:
        from ai8xc.survey import read, survey_model

        options = _options(device, arguments)
        sample = read_sample(arguments["sample"])
        given = read(model, described(arguments, device, sample, options.network))
        if arguments["html"] and given.graph is not None:
            from ai8xc.report.files import examine_survey, write_page
            from ai8xc.report.record import Recording

            recording = Recording(given.graph)
            watched = replace(options, hooks=(*options.hooks, recording))
            found = survey_model(given, watched)
            write_page(examine_survey(found, recording, sample), arguments["html"])
        else:
            found = survey_model(given, options)
        report.told = True
    return found


def _tell(model: Path, survey: Survey, form: Format, *, margin: bool) -> None:
    """Write the verdict."""
    if form == "json":
        from ai8xc.ir.report_json import survey_to_json

        click.echo(survey_to_json(survey), nl=False)
    elif form == "sarif":
        from ai8xc import __version__
        from ai8xc.ir.report_json import to_sarif

        click.echo(to_sarif(survey.diagnostics, __version__), nl=False)
    else:
        from ai8xc.ir.report import Paint
        from ai8xc.ir.report_page import page

        paint = Paint(sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
        text = (
            model.read_text("utf-8", "replace") if model.suffix in (".ir", ".yaml", ".yml") else ""
        )
        click.echo(page(survey, paint, text, with_margins=margin), nl=False)


def _options(device: Device, arguments: Arguments) -> Options:
    from ai8xc.cli.quantizing import passes, settings
    from ai8xc.driver import Options

    return Options(
        device=device.name,
        pipeline=passes(arguments),
        settings=pass_settings(arguments, settings(arguments)),
        network=network(arguments),
        replace=arguments["replace"],
        calibration=read_calibration(arguments["calibration"]),
        load=arguments["load"],
    )
