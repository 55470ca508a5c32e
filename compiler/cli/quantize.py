"""`ai8xc quantize`: from a trained checkpoint to one with the integers of the device."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ai8xc.cli.common import Format, Report, device_option, format_option, reporting
from ai8xc.cli.training import file_option

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.quantize_checkpoint import Quantized
    from ai8xc.training.quantizer import ClipMethod, QuantizerOptions


class Arguments(TypedDict):
    """The arguments of the command, without those of the report."""

    output: Path
    device: Device | None
    clip_method: ClipMethod | None
    scale: float
    stddev: float
    weight_bits: str | None
    config: Path | None


@click.command(
    epilog="""\b
Examples:
  ai8xc quantize qat_best.pth.tar -o quantized.pth.tar
  ai8xc quantize float.pth.tar -o q.pth.tar --clip-method SEARCH --weight-bits 4,conv1=8"""
)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@file_option("The checkpoint to write.")
@device_option()
@click.option(
    "--clip-method",
    type=click.Choice(("SEARCH", "MAX", "AVGMAX", "STDDEV", "SCALE"), case_sensitive=False),
    help="Quantise after training; without it, by the power of two that QAT trained with. "
    "SEARCH takes the power of two with the smallest error; the others are the vendor's.",
)
@click.option("--scale", type=float, default=0.85, show_default=True, help="Factor of SCALE.")
@click.option(
    "--stddev",
    type=click.FloatRange(0, min_open=True),
    default=2.0,
    show_default=True,
    help="Standard deviations that STDDEV keeps.",
)
@click.option(
    "--weight-bits",
    "--qat-weight-bits",
    metavar="N[,LAYER=N]",
    help="Bits of layers for which the checkpoint says none; by layer, of any layer.",
)
@click.option(
    "-c",
    "--config",
    "--config-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Network description (YAML), whose `quantization` gives the bits of its layers.",
)
@format_option("text", "json")
def command(*, checkpoint: Path, form: Format, **arguments: Unpack[Arguments]) -> None:
    """Quantise the parameters of CHECKPOINT for the device.

    Reads the checkpoints of the vendor's training tool and of `ai8xc train`, and writes one that
    both, and `torch.load`, read. Prints bits, shift and loss of each layer. Nothing stored in
    CHECKPOINT is executed.
    """
    options = _options(arguments)
    with reporting(Report(checkpoint.name, effect="nothing was written")) as report:
        from ai8xc.files import write_files
        from ai8xc.quantize_checkpoint import quantize_checkpoint

        found = quantize_checkpoint(checkpoint, options, description=arguments["config"])
        report.diagnostics += found.diagnostics
        output = arguments["output"]
        write_files(output.parent, {output.name: found.data})
        click.echo(_json(found) if form == "json" else _table(found))


def _options(arguments: Arguments) -> QuantizerOptions:
    from ai8xc.training.quantizer import QuantizerOptions

    general, layers = _bits(arguments["weight_bits"])
    return QuantizerOptions(
        arguments["clip_method"], arguments["scale"], arguments["stddev"], general, layers
    )


def _bits(text: str | None) -> tuple[int | None, dict[str, int]]:
    general: int | None = None
    layers: dict[str, int] = {}
    for part in text.split(",") if text else ():
        match = re.fullmatch(r"(?:(.+)=)?([1248])", part.strip())
        if match is None:
            raise click.BadParameter(f"`{part}` is not N or LAYER=N with 1, 2, 4 or 8 bits")
        if match[1] is None:
            general = int(match[2])
        else:
            layers[match[1]] = int(match[2])
    return general, layers


def _json(found: Quantized) -> str:
    layers = [
        {
            "name": layer.name,
            "weight_bits": layer.bits,
            "output_shift": layer.shift,
            "saturated": layer.saturated,
            "snr_db": None if math.isinf(layer.snr_db) else round(layer.snr_db, 2),
        }
        for layer in found.state.layers
    ]
    return json.dumps({"layers": layers})


def _table(found: Quantized) -> str:
    rows = ["bits  shift  saturated  signal to noise   layer"]
    for layer in found.state.layers:
        ratio = "exact" if math.isinf(layer.snr_db) else f"{layer.snr_db:.1f} dB"
        rows.append(
            f"{layer.bits:4}  {layer.shift:5}  {layer.saturated:9}  {ratio:>15}   {layer.name}"
        )
    return "\n".join(rows)
