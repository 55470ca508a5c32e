"""The options that say how a network is fed, started and run; their names are the vendor's."""

from __future__ import annotations

from typing import Any, Final

import click

from ai8xc.cli.common import F

_FLAGS: Final[tuple[tuple[str, str, object, str], ...]] = (
    ("--fifo", "input_mode", "fifo", "Load the input through the FIFOs."),
    ("--fast-fifo", "input_mode", "fast-fifo", "Load it through the fast FIFO (with --riscv)."),
    ("--fast-fifo-quad", "input_mode", "fast-fifo-quad", "The same, to all four groups at once."),
    ("--fifo-go", "fifo_go", True, "Start before the first word is pushed (max78002)."),
    ("--no-fifo-wait", "fifo_wait", False, "Push without asking whether there is room."),
    ("--no-pipeline", "pipeline", False, "Switch the pipeline off (max78002)."),
    ("--no-pll", "pll", False, "Run the accelerator on the APB clock (max78002)."),
    ("--no-mexpress", "express", False, "Load kernels word by word instead of packed."),
    ("--powerdown", "power_down", True, "Switch off groups of processors that are not used."),
    ("--zero-sram", "zero_memories", True, "Clear all memories first."),
    ("--write-zero-registers", "write_zeros", True, "Write registers that are 0, too."),
    ("--riscv", "riscv", True, "Run the network on the RISC-V core."),
    ("--link-layer", "link_layers", True, "Every layer names the next one (max78002)."),
)
"""Option, field of the settings, its value, help."""


def network_options(command: F) -> F:
    """Add the options to a command."""
    for name, field, value, text in reversed(_FLAGS):
        option = click.option(name, field, flag_value=value, default=None, help=text)
        command = option(command)
    return command


def network(arguments: Any) -> dict[str, object]:
    """Return the settings that differ from their defaults, by field."""
    fields = dict.fromkeys(field for _, field, _, _ in _FLAGS)
    return {field: arguments[field] for field in fields if arguments[field] is not None}
