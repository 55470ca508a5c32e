"""`ai8xc check`: everything that is wrong with a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import (
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
)
from ai8xc.cli.network import network, network_options
from ai8xc.cli.quantizing import QuantizeArguments, quantize_options

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.device import Device
    from ai8xc.driver import Options


class Arguments(QuantizeArguments, DescribedArguments):
    """The arguments of the command, without those of the report."""

    calibration: Path | None
    sample: Path | None
    load: tuple[Path, ...]
    html: Path | None


@click.command(
    epilog="""\b
Examples:
  ai8xc check net.onnx --device max78002
  ai8xc check net.onnx --format sarif > net.sarif"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--device",
    default="max78000",
    show_default=True,
    help="The chip (see `ai8xc devices`), or `all`: one report for each.",
)
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
    ctx: click.Context, *, model: Path, device: str, form: Format, **arguments: Unpack[Arguments]
) -> None:
    """List all that is wrong with a model.

    Every finding comes with its place in MODEL, the limit of the device and the cure. Leaves
    with 1 where an error is found, with 0 where the model can be compiled.
    """
    from ai8xc.device import device_names

    names = device_names() if device == "all" else (device,)
    if len(names) > 1 and form == "sarif":
        raise click.UsageError("a SARIF log is about one device")
    if len(names) > 1 and arguments["html"]:
        raise click.UsageError("a page is about one device")
    devices = [DeviceName().convert(name, None, ctx) for name in names]
    ctx.exit(max(_check(model, chip, form, arguments) for chip in devices))


def _check(model: Path, device: Device, form: Format, arguments: Arguments) -> int:
    """Report on one device; return the exit code."""
    try:
        with reporting(Report(model.name, form, device, to_output=True)) as report:
            from ai8xc.driver import compile_graph, load_described

            options = _options(device, arguments)
            rounding = bool(options.network.get("average_rounding"))
            sample = read_sample(arguments["sample"])
            given = described(arguments, device, sample, rounding=rounding)
            graph, report.diagnostics = load_described(model, given)
            if arguments["html"]:
                from ai8xc.report.files import examine, write_page

                found = examine(graph, model.name, options, report.diagnostics)
                write_page(found, arguments["html"])
            report.diagnostics += compile_graph(graph, options).diagnostics
    except click.exceptions.Exit as stop:
        return stop.exit_code
    if form == "text":
        click.echo(f"`{model.name}` can be compiled for {device.name}")
    return 0


def _options(device: Device, arguments: Arguments) -> Options:
    from ai8xc.cli.quantizing import passes, settings
    from ai8xc.driver import Options

    return Options(
        device=device.name,
        pipeline=passes(arguments),
        settings={**settings(arguments), **pass_settings(arguments)},
        network=network(arguments),
        replace=arguments["replace"],
        calibration=read_calibration(arguments["calibration"]),
        load=arguments["load"],
    )
