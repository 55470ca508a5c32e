"""`ai8xc evaluate`: accuracy before and after quantisation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ai8xc.cli.common import Format, Report, format_option, load_option, reporting
from ai8xc.cli.data import calibration_option, read_calibration
from ai8xc.cli.quantizing import QuantizeArguments, quantize_options
from ai8xc.cli.training import checkpoint_option

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.evaluate import Evaluation


class Arguments(QuantizeArguments):
    """The arguments of the command, without those of the report."""

    data: Path | None
    checkpoint: Path | None
    save_sample: int | None
    attribution: Path | None
    calibration: Path | None
    load: tuple[Path, ...]


@click.command(
    epilog="""\b
Example:
  ai8xc evaluate net.onnx --data test.npz --calibration train.npz --weight-bits 4"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Labelled inputs as `.npz`: arrays `x` and `y`.",
)
@checkpoint_option("Of a training run: another checkpoint than the best.")
@click.option(
    "--save-sample",
    type=click.IntRange(0),
    metavar="N",
    help="Of a training run: write test sample N as integers, `sample_<data>.npy`.",
)
@click.option(
    "--attribution",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Of a training run: draw what of some test samples decides, `.png` (needs captum).",
)
@calibration_option
@quantize_options
@load_option
@format_option("text", "json")
def command(*, model: Path, form: Format, **arguments: Unpack[Arguments]) -> None:
    """Measure accuracy before and after quantisation.

    MODEL is run by onnxruntime, its integers by the interpreter. Prints both accuracies, how
    often the two agree, and the signal-to-noise ratio of each layer. MODEL may also be the folder
    of a training run, whose test samples are used: real numbers, training with quantisation and
    the integers of the device side by side.
    """
    if arguments["data"] is None and model.is_file():
        raise click.UsageError("Missing option '--data'.")
    with reporting(Report(model.name, "text")) as report:
        if arguments["data"] is None:
            _evaluate_run(model, form, arguments)
            return
        from ai8xc.cli.quantizing import settings
        from ai8xc.driver import Options
        from ai8xc.evaluate import evaluate
        from ai8xc.files import read_arrays

        options = Options(
            pipeline=arguments["pipeline"],
            settings={"quantize": settings(arguments)},
            calibration=read_calibration(arguments["calibration"]),
            load=arguments["load"],
        )
        data = {name: found.array for name, found in read_arrays(arguments["data"]).items()}
        found = evaluate(model, data, options)
        report.diagnostics += found.diagnostics
        click.echo(_json(found) if form == "json" else _table(found))


def _evaluate_run(folder: Path, form: Format, arguments: Arguments) -> None:
    from ai8xc.cli.training import absent_libraries, table

    with absent_libraries():
        from ai8xc.training.trainer.evaluation import measure, write_sample
        from ai8xc.training.trainer.runs import open_run

        run = open_run(folder)
        data, checkpoint = run.data(), arguments["checkpoint"]
        if arguments["save_sample"] is not None:
            write_sample(data, arguments["save_sample"], Path())
        if arguments["attribution"] is not None:
            from ai8xc.training.trainer.attribution import draw

            draw(run, data, arguments["attribution"], checkpoint)
        record = measure(run, data, checkpoint=checkpoint).record()
    click.echo(json.dumps(record) if form == "json" else table(record))


def _json(found: Evaluation) -> str:
    record = {
        "samples": found.samples,
        "float_accuracy": found.float_accuracy,
        "integer_accuracy": found.integer_accuracy,
        "agreement": found.agreement,
        "layers": [
            {"name": name, "snr_db": round(ratio, 2) if abs(ratio) < 1e9 else None}
            for name, ratio in found.layers
        ],
    }
    return json.dumps(record)


def _table(found: Evaluation) -> str:
    rows = [
        f"samples           {found.samples}",
        f"float accuracy    {100 * found.float_accuracy:.2f} %",
        f"integer accuracy  {100 * found.integer_accuracy:.2f} %",
        f"agreement         {100 * found.agreement:.2f} %",
    ]
    if found.layers:
        rows += ["", "signal to noise   layer"]
        rows += [f"{ratio:12.1f} dB   {name}" for name, ratio in found.layers]
    return "\n".join(rows)
