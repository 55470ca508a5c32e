"""The options that say how a network is fed, started and run; their names are the vendor's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from ai8xc.backends.ai8x.setting_options import FLAGS, NUMBERS
from ai8xc.cli.described import Number
from ai8xc.cli.headings import CODE, HARDWARE, PLACEMENT, STREAMING, F, adding, option
from ai8xc.cli.quantizing import ON


class Pattern(click.ParamType[str]):
    """Text of a certain form."""

    form = ""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the text."""
        if not re.fullmatch(self.form, str(value)):
            self.fail(f"`{value}` is no {self.name}", param, ctx)
        return str(value)


class PortPin(Pattern):
    """A GPIO pin, as `2.5`."""

    name = "port and pin"
    form = r"[0-3]\.([0-9]|[12][0-9]|3[01])"


class Identifier(Pattern):
    """A name in C."""

    name = "name in C"
    form = r"[A-Za-z][A-Za-z0-9_]*"


_HELP: Final = {
    "--fifo": "Load the input through the FIFOs.",
    "--fast-fifo": "Load it through the fast FIFO (with --riscv).",
    "--fast-fifo-quad": "The same, to all four groups at once.",
    "--fifo-go": "Start before the first word is pushed (max78002).",
    "--no-fifo-wait": "Push without asking whether there is room.",
    "--no-pipeline": "Switch the pipeline off (max78002).",
    "--no-pll": "Run the accelerator on the APB clock (max78002).",
    "--no-mexpress": "Load kernels word by word instead of packed.",
    "--powerdown": "Switch off groups of processors that are not used.",
    "--zero-sram": "Clear all memories first.",
    "--write-zero-registers": "Write registers that are 0, too.",
    "--stop-start": "Stop the network once and continue, to test it.",
    "--mlator": "Unload 8-bit outputs through the byte transposer.",
    "--energy": "Measure energy: run each step 100 times.",
    "--riscv": "Run the network on the RISC-V core.",
    "--link-layer": "Every layer names the next one (max78002).",
    "--pll": "Run the accelerator on the PLL, as is usual (max78002).",
    "--avg-pool-rounding": "Average pools round to the nearest.",
    "--ext-rdy": "Wait for the external ready signal.",
    "--simple1b": "1-bit weights by exclusive or.",
    "--overlap-data": "Let layers overwrite data that are still read.",
    "--no-error-stop": "The same.",
    "--one-shot": "Stop after each layer and continue, to debug.",
    "--repeat-layers": "Configure the layers so many times.",
    "--override-start": "Start counter of the streaming start layer.",
    "--override-delta1": "First delta of the streaming start layer.",
    "--override-delta2": "Second delta of the streaming start layer.",
    "--override-rollover": "Rollover of the streaming start layer.",
    "--increase-start": "Added to the start counters (2).",
    "--increase-delta1": "Added to the first deltas (0).",
    "--increase-delta2": "Added to the second deltas (0).",
}

_VALUES: Final = (
    ("--timer", "timer", click.IntRange(0, 3), "N", "The timer that measures the inference."),
    ("--boost", "boost", PortPin(), "PORT.PIN", "A pin that boosts the supply meanwhile."),
    ("--prefix", "prefix", Identifier(), "NAME", "Names in C begin with this instead of `cnn`."),
)
"""Option, field of the settings, type, name of the value, help."""


_HEADINGS: Final = {
    **dict.fromkeys(("input_mode", "fifo_go", "fifo_wait"), STREAMING),
    **dict.fromkeys(("stop_start", "mlator", "energy", "riscv", "one_shot"), CODE),
    "overlap": PLACEMENT,
    "repeat": HARDWARE,
}
"""Headings by field; other flags are about the hardware, other numbers about streaming."""


def _options() -> Iterator[Callable[[F], F]]:
    for name, field in NUMBERS:
        heading = _HEADINGS.get(field, STREAMING)
        yield option(heading, name, f"run_{field}", type=Number(), default=None, help=_HELP[name])
    for name, field, value in FLAGS:
        heading = _HEADINGS.get(field, HARDWARE)
        yield option(
            heading, name, f"run_{field}", flag_value=value, default=None, help=_HELP[name]
        )
    for name, field, kind, metavar, text in _VALUES:
        yield option(CODE, name, f"run_{field}", type=kind, metavar=metavar, help=text)


network_options = adding(_options())
"""Adds the options to a command."""


def network(arguments: Any) -> dict[str, object]:
    """Return the settings that differ from their defaults, by field."""
    rows = (*FLAGS, *NUMBERS, *_VALUES)
    fields = dict.fromkeys(row[1] for row in rows)
    given = {str(field): arguments[f"run_{field}"] for field in fields}
    found = {field: value for field, value in given.items() if value is not None}
    if arguments["start_layer"]:
        found["start_layer"] = arguments["start_layer"]
    if arguments["stop_after"] is not None:
        found["stop_after"] = arguments["stop_after"]
    return found | ({"pipeline": True} if arguments["pipeline"] == ON else {})
