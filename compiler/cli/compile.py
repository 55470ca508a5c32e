"""`ai8xc compile`: the whole road from a model to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ai8xc.cli.code import code, code_options, wants_riscv
from ai8xc.cli.common import (
    Format,
    Report,
    device_option,
    format_option,
    load_option,
    reporting,
    say,
)
from ai8xc.cli.data import DataArguments, data_options, rerun
from ai8xc.cli.described import (
    DescribedArguments,
    described,
    described_options,
    pass_settings,
    refuse_without_description,
    synthesis,
)
from ai8xc.cli.headings import OUTPUT, option
from ai8xc.cli.network import network, network_options
from ai8xc.cli.quantizing import QuantizeArguments, quantize_options
from ai8xc.cli.telling import TellingArguments, also_emitted, tell, telling_options, worth_telling
from ai8xc.cli.vendor_table import VendorCommand, no_effect
from ai8xc.cli.watch import Watch, WatchArguments, watch_options

if TYPE_CHECKING:
    from typing import Unpack

    from ai8xc.device import Device
    from ai8xc.driver import Options
    from ai8xc.ir.passes import Hook


class Arguments(
    TellingArguments, WatchArguments, QuantizeArguments, DataArguments, DescribedArguments
):
    """The arguments of the command, without those of the report."""

    output: Path | None
    force: bool
    emit: str
    load: tuple[Path, ...]


@click.command(
    cls=VendorCommand,
    epilog="""\b
Examples:
  ai8xc compile net.onnx -o build --device max78000
  ai8xc compile net.onnx --emit ir --dump-ir steps --prove --sample x.npy
  ai8xc compile net.onnx -o build --calibration train.npz --weight-bits 8,conv2=4""",
)
@click.argument("model", type=click.Path(path_type=Path))
@option(
    OUTPUT,
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the files; it is replaced if an earlier run made it.",
)
@option(
    OUTPUT,
    *("--force", "--overwrite", "force"),
    is_flag=True,
    help="Replace the folder whatever it holds.",
)
@option(
    OUTPUT,
    "--emit",
    default="c",
    show_default=True,
    metavar="LIST",
    help="What to write: c, registers, yaml, ir, report, layers.",
)
@device_option("max78000")
@data_options
@quantize_options
@described_options
@network_options
@code_options
@telling_options
@load_option
@watch_options
@format_option("text", "json", "sarif")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    model: Path,
    device: Device,
    form: Format,
    **arguments: Unpack[Arguments],
) -> None:
    """Compile a model for a device.

    MODEL is an ONNX model (`.onnx`), a network described for the vendor's tool (`.yaml`, with
    `--weights`), or a graph of any level as text (`.ir`). All files are written, or none. What is
    wrong with the model is told at once, with the place in the model and the cure.
    """
    folder, force = arguments["output"], arguments["force"]
    if folder is None and arguments["dump_ir"] is None:
        raise click.UsageError("nothing to write: give `-o DIR` or `--dump-ir DIR`")
    if arguments["prove"] and arguments["stop_after"] is not None:
        raise click.UsageError("`--prove` compares whole networks: leave out `--stop-after`")
    refuse_without_description(ctx, model)
    with reporting(Report(model.name, form, device, "nothing was written")) as report:
        from ai8xc.driver import compile_graph, load_described

        watch = Watch(arguments)
        report.rerun = rerun(arguments, arguments["load"])
        options = _options(model, device, arguments, watch.hooks)
        ignored = no_effect(ctx)
        network_options = described(arguments, device, options.sample, options.network)
        graph, report.diagnostics = load_described(model, network_options)
        report.diagnostics[:0] = ignored
        watch.start(graph)
        result = compile_graph(graph, options)
        report.diagnostics += worth_telling(result.diagnostics, arguments)
        told = tell(result, arguments, report)
        if folder:
            result.write(folder, force=force)
        watch.finish(force=force)
    for line in told if form == "text" else ():
        say(line)
    if folder and form == "text":
        say(f"wrote {len(result.files)} files to `{folder}`")


_SOURCES: Final = ("weights", "bias", "sample", "calibration")
"""Options that name files of the user's."""


def _options(model: Path, device: Device, arguments: Arguments, hooks: tuple[Hook, ...]) -> Options:
    from ai8xc.cli.data import calibration, sample
    from ai8xc.cli.quantizing import passes, settings
    from ai8xc.driver import Options

    wanted = frozenset(filter(None, arguments["emit"].split(","))) | also_emitted(arguments)
    chosen = code(arguments)
    return Options(
        device=device.name,
        pipeline=passes(arguments),
        settings=pass_settings(arguments, settings(arguments)),
        network=network(arguments) | ({"riscv": True} if wants_riscv(chosen) else {}),
        code=chosen,
        sample=synthesis(arguments, sample(arguments), network(arguments)),
        calibration=calibration(arguments),
        emit=wanted if arguments["output"] else wanted & {"ir"},
        load=arguments["load"],
        hooks=hooks,
        prove=say if arguments["prove"] else None,
        sources=tuple(filter(None, (model, *(arguments[key] for key in _SOURCES)))),
        replace=arguments["replace"],
    )
