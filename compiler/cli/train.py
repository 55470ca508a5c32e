"""`ai8xc train`: train a network for the device."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ai8xc.cli.common import Format, Report, format_option, reporting


@click.command(
    epilog="""\b
Examples:
  ai8xc train mnist.yaml
  ai8xc train mnist.yaml --output runs/second --seed 1"""
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the run, in place of the configuration's.",
)
@click.option("--seed", type=int, help="The seed, in place of the configuration's.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@format_option("text", "json")
def command(
    *, config: Path, output: Path | None, seed: int | None, quiet: bool, form: Format
) -> None:
    """Train a network as the YAML file CONFIG says, and measure it on the test samples.

    A run that was interrupted goes on where its last epoch ended, with the same result as if it
    had not been. A finished run is never overwritten. Prints accuracy (or another metric) in
    real numbers, with quantisation, and in the integers of the device.
    """
    with reporting(Report(config.name, effect="nothing was trained")):
        from ai8xc.cli.training import absent_libraries, table

        with absent_libraries():
            from ai8xc.training.trainer.config import read_config
            from ai8xc.training.trainer.runs import train

            found = read_config(config)
            changes: dict[str, object] = {}
            if output is not None:
                changes["output"] = output.absolute()
            if seed is not None:
                changes["seed"] = seed
            run = train(found.model_copy(update=changes), progress=not quiet and form == "text")
        if run.leads:
            click.echo(json.dumps(run.result) if form == "json" else table(run.result))
