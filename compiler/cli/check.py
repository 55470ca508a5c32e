"""`ai8xc check`: everything that is wrong with a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Format, Report, device_option, format_option, load_option, reporting
from ai8xc.cli.quantizing import QuantizeArguments, quantize_options

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.device import Device


class Arguments(QuantizeArguments):
    """The arguments of the command, without those of the report."""

    load: tuple[Path, ...]


@click.command(
    epilog="""\b
Examples:
  ai8xc check net.onnx --device max78002
  ai8xc check net.onnx --format sarif > net.sarif"""
)
@click.argument("model", type=click.Path(path_type=Path))
@device_option("max78000")
@quantize_options
@load_option
@format_option("text", "json", "sarif")
def command(*, model: Path, device: Device, form: Format, **arguments: Unpack[Arguments]) -> None:
    """List all that is wrong with a model.

    Every finding comes with its place in MODEL, the limit of the device and the cure. Leaves
    with 1 where an error is found, with 0 where the model can be compiled.
    """
    with reporting(Report(model.name, form, device, to_output=True)) as report:
        from ai8xc.cli.quantizing import calibration, settings
        from ai8xc.driver import Options, compile_graph, load

        options = Options(
            device=device.name,
            pipeline=arguments["pipeline"],
            settings=settings(arguments),
            calibration=calibration(arguments),
            load=arguments["load"],
        )
        report.diagnostics += compile_graph(load(model), options).diagnostics
    if form == "text":
        click.echo(f"`{model.name}` can be compiled for {device.name}")
