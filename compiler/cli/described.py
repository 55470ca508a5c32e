"""The options of networks that are described for the vendor's tool, under the vendor's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypedDict

import click
from click.core import ParameterSource

from ai8xc.cli.headings import INPUT, LAYERS, PLACEMENT, STREAMING, adding, option

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.frontend.vendor_options import NetworkOptions
    from ai8xc.ir.types import Array

_FILE = click.Path(path_type=Path)

_OF_DESCRIPTIONS: Final = frozenset(
    {
        "weights",
        "bias",
        "skip_weights",
        "skip_checkpoint_layers",
        "skip_yaml_layers",
        "input_offset",
        "no_bias",
        "ignore_activation",
        "ignore_streaming",
        "streaming_layers",
        "readahead",
        "calcx4",
        "ignore_bias_groups",
    }
)
"""Arguments that change how a description is read; the others are for any network."""

ALL = "all"


class Number(click.ParamType["int"]):
    """An integer in any notation of C."""

    name = "number"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the integer; hexadecimal with 0x."""
        try:
            number = value if isinstance(value, int) else int(str(value), 0)
        except ValueError:
            self.fail(f"`{value}` is no integer", param, ctx)
        if not 0 <= number < 2**32:
            self.fail(f"`{value}` is not in 0..2^32-1", param, ctx)
        return number


class Layers(click.ParamType["frozenset[int] | None"]):
    """Numbers of layers with commas; None for all."""

    name = "layers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int] | None:
        """Return the numbers."""
        if value is None or isinstance(value, frozenset):
            return value
        if value == ALL:
            return None
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() for part in parts):
            self.fail(f"`{value}` is no list of layer numbers", param, ctx)
        return frozenset(map(int, parts))


class DescribedArguments(TypedDict):
    """The values of `described_options`."""

    weights: Path | None
    bias: Path | None
    skip_weights: str | None
    skip_checkpoint_layers: int
    skip_yaml_layers: int
    start_layer: int
    stop_after: int | None
    input_offset: int | None
    output_width: int | None
    no_bias: frozenset[int] | None
    ignore_activation: bool
    ignore_streaming: bool
    streaming_layers: frozenset[int] | None
    readahead: bool
    calcx4: bool
    weight_start: int
    no_deduplicate_weights: bool
    ignore_bias_groups: bool
    replace: bool
    synthesize_input: int | None
    synthesize_words: int


described_options = adding(
    (
        option(
            INPUT,
            *("--weights", "--checkpoint-file", "--weight-input", "weights"),
            type=_FILE,
            metavar="FILE",
            help="Weights of a described network: checkpoint, `.onnx`, `.npz` or `.npy`.",
        ),
        option(
            INPUT,
            *("--bias", "--bias-input", "bias"),
            type=_FILE,
            metavar="FILE",
            help="Biases, where the weights are arrays without them.",
        ),
        option(
            INPUT,
            "--skip-weights",
            metavar="NAMES",
            help="Entries that are not for this network: `fc,*bn`.",
        ),
        option(
            INPUT,
            "--skip-checkpoint-layers",
            type=Number(),
            default=0,
            help="Leave out the first weights.",
        ),
        option(
            LAYERS,
            "--skip-yaml-layers",
            type=Number(),
            default=0,
            help="Leave out the first layers.",
        ),
        option(
            LAYERS,
            "--start-layer",
            type=Number(),
            default=0,
            help="First layer of the run (max78002).",
        ),
        option(LAYERS, "--stop-after", type=Number(), help="Last layer of the run."),
        option(
            LAYERS, "--input-offset", type=Number(), help="Where the start layer reads, in bytes."
        ),
        option(
            LAYERS,
            "--output-width",
            type=click.Choice([8, 32]),
            help="Bits of the last layer: 8 or 32.",
        ),
        option(
            LAYERS,
            "--no-bias",
            type=Layers(),
            is_flag=False,
            flag_value=ALL,
            default=frozenset(),
            metavar="[LAYERS]",
            help="Ignore biases of these layers, of all without a list.",
        ),
        option(LAYERS, "--ignore-activation", is_flag=True, help="Leave out all activations."),
        option(STREAMING, "--ignore-streaming", is_flag=True, help="Leave out all streaming."),
        option(
            STREAMING,
            "--streaming-layers",
            type=Layers(),
            default=frozenset(),
            help="Layers that stream.",
        ),
        option(LAYERS, "--read-ahead", "readahead", is_flag=True, help="Read ahead in all layers."),
        option(
            LAYERS, "--calcx4", is_flag=True, help="Compute four outputs at once in all layers."
        ),
        option(
            PLACEMENT,
            "--weight-start",
            type=Number(),
            default=0,
            help="First kernel column that is used.",
        ),
        option(
            PLACEMENT,
            "--no-deduplicate-weights",
            is_flag=True,
            help="Store identical weights each on its own.",
        ),
        option(
            INPUT,
            "--synthesize-input",
            type=Number(),
            help="Derive the sample from its first words: this is added each time.",
        ),
        option(
            INPUT, "--synthesize-words", type=Number(), default=8, help="Number of the first words."
        ),
        option(
            PLACEMENT,
            "--ignore-bias-groups",
            is_flag=True,
            help="Biases need not lie in the groups that the description wants.",
        ),
        option(
            PLACEMENT,
            "--replace",
            is_flag=True,
            help="Forget the description's placement, place anew.",
        ),
    )
)
"""Adds the options to a command."""


def refuse_without_description(ctx: click.Context, model: Path) -> None:
    """Raise `UsageError` for options of descriptions beside a model of another kind."""
    from ai8xc.driver import DESCRIPTIONS

    if model.suffix.lower() in DESCRIPTIONS:
        return
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and param.name in _OF_DESCRIPTIONS:
            why = f"is for networks described for the vendor's tool, `{model.name}` is none"
            raise click.UsageError(f"`{param.opts[0]}` {why}")


def described(
    arguments: DescribedArguments,
    device: Device | None,
    sample: Array | None,
    network: Mapping[str, object],
) -> NetworkOptions:
    """Return what goes with a description; `network` are settings of the run."""
    from ai8xc.frontend.vendor_options import NetworkOptions
    from ai8xc.frontend.vendor_parameters import Skip

    names = tuple(filter(None, (arguments["skip_weights"] or "").split(",")))
    return NetworkOptions(
        device,
        arguments["weights"],
        arguments["bias"],
        None if sample is None else sample.shape,
        network=network,
        skip=Skip(arguments["skip_checkpoint_layers"], names),
        skip_layers=arguments["skip_yaml_layers"],
        start_layer=arguments["start_layer"],
        stop_after=arguments["stop_after"],
        input_offset=arguments["input_offset"],
        output_width=arguments["output_width"],
        no_bias=arguments["no_bias"],
        ignore_activation=arguments["ignore_activation"],
        ignore_streaming=arguments["ignore_streaming"],
        streaming_layers=arguments["streaming_layers"] or frozenset(),
        readahead=arguments["readahead"],
        calcx4=arguments["calcx4"],
        ignore_bias_groups=arguments["ignore_bias_groups"],
    )


def synthesis(
    arguments: DescribedArguments, sample: Array | None, network: Mapping[str, object]
) -> Array | None:
    """Return the sample, or what `--synthesize-input` makes of it; `network` are settings."""
    from ai8xc.frontend.vendor_sample import synthesized

    step = arguments["synthesize_input"]
    if sample is None or step is None:
        return sample
    fifo = network.get("input_mode", "memory") != "memory"
    return synthesized(sample, step, arguments["synthesize_words"], fifo=fifo)


def pass_settings(
    arguments: DescribedArguments, quantize: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    """Return the options of single passes, by pass and option; `quantize` are those of that one."""
    width = arguments["output_width"]
    kernels: dict[str, object] = {}
    if arguments["weight_start"]:
        kernels["start"] = arguments["weight_start"]
    if arguments["no_deduplicate_weights"]:
        kernels["deduplicate"] = False
    wide = {} if width is None else {"wide": width == 32}
    found = {"quantize": {**quantize, **wide}, "allocate-kernels": kernels}
    return {name: options for name, options in found.items() if options}
