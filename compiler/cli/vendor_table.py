"""Options of the vendor's tool that the command has not: what becomes of each, and why.

The manual's page on the vendor's options says the same; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from ai8xc.cli.headings import HeadedCommand

if TYPE_CHECKING:
    from ai8xc.ir.diag import Diagnostic

_RTL: Final = "register simulations are the vendor's"

NO_EFFECT: Final[Mapping[str, tuple[int, str]]] = {
    "--ai85": (0, "the device is `--device`"),
    "--embedded-code": (0, "code for the device is always made"),
    "-e": (0, "code for the device is always made"),
    "--compact-data": (0, "the sample is always an array"),
    "--no-compact-data": (0, "the sample is always an array"),
    "--compact-weights": (0, "kernels are always a table"),
    "--mexpress": (0, "the packed loader is usual"),
    "--new-kernel-loader": (0, "it is the only one"),
    "--old-kernel-loader": (0, "the table of the new loader holds the same kernels"),
    "--mlator-noverify": (0, "the known-answer test never reads through the byte transposer"),
    "--forever": (0, "repeat `load_input` and `cnn_start` in the application"),
    "--init-tram": (0, "`--zero-sram` clears this memory, too"),
    "--pretend-zero-sram": (0, "for register simulations"),
    "--zero-unused": (
        0,
        "it would clear registers of the last layer, which are used; all others are written",
    ),
    "--ignore-energy-warning": (0, "there is no such warning"),
    "--debug-new-streaming": (0, "it is usual"),
    "--short-log": (0, "`layers.npz` has one array a layer"),
    "--log-last-only": (0, "`layers.npz` has one array a layer"),
    "--verbose-all": (0, "`layers.npz` has one array a layer"),
    "--debug": (0, "`--print-after`, `--dump-ir` and `--prove` show each step"),
    "-D": (0, "`--print-after`, `--dump-ir` and `--prove` show each step"),
    "--debug-computation": (0, "`--prove` compares every layer"),
    "--debug-snoop": (0, "the emulator executes the registers of the snoopers"),
    "--kernel-format": (1, "for the log of the vendor's tool"),
    "--eclipse-includes": (1, "no project of an IDE is made"),
    "--eclipse-variables": (1, "no project of an IDE is made"),
    "--eclipse-openocd-args": (1, "no project of an IDE is made"),
    "--no-progress": (0, "there are no progress bars"),
    "--yamllint": (1, "the description is checked by the reader"),
    "--no-version-check": (0, "nothing is looked up"),
    "--version-check-interval": (1, "nothing is looked up"),
    "--upstream": (1, "nothing is looked up"),
}
"""Options that change nothing here: number of values, why. A warning says so."""

NOT_OFFERED: Final[Mapping[str, tuple[int, str]]] = {
    "--config-file": (1, "the description is the argument MODEL"),
    "--test-dir": (1, "the project's folder is `-o DIR`"),
    "--max-proc": (1, "the devices have 64 processors"),
    "--apb-base": (1, "the accelerator has one address"),
    "--ready-sel": (1, "the wait states are those that the vendor recommends"),
    "--ready-sel-fifo": (1, "the wait states are those that the vendor recommends"),
    "--ready-sel-aon": (1, "the wait states are those that the vendor recommends"),
    "--clock-trim": (1, "trim values are the application's"),
    "--fixed-input": (0, "give the constants as `--sample`"),
    "--input-split": (1, "the compiler folds or streams inputs that do not fit"),
    "--reshape-inputs": (0, "the sample must have the channels of the network"),
    "--snoop-loop": (0, "an endless loop for register simulations"),
    "--slow-load": (1, "pushing waits until there is room"),
    "--allow-streaming": (0, "the hardware does not stream from memory"),
    "--ignore-hw-limits": (0, "what breaks a limit does not work"),
    "--ignore-bn": (0, "fold batch norms before you quantise"),
    "--test-bist": (0, "a test of the chip"),
    **dict.fromkeys(
        (
            *("--rtl", "--rtl-sim", "--rtl-preload", "--rtl-preload-weights", "--legacy-test"),
            *("--legacy-kernels", "--input-sync", "--input-fifo", "--result-output"),
        ),
        (0, _RTL),
    ),
    **dict.fromkeys(
        (
            *("--top-level", "--autogen", "--autogen_list", "--queue-name", "--timeout"),
            *("--runtest-filename", "--input-filename", "--output-filename"),
            *("--output-config-filename", "--output-data-filename", "--output-weights-filename"),
            *("--output-bias-filename", "--output-pass-filename", "--input-csv"),
            *("--input-csv-format", "--input-csv-retrace", "--input-csv-period"),
            "--input-pix-clk",
        ),
        (1, _RTL),
    ),
}
"""Options that would change the result and are not there: number of values, why."""

IGNORED: Final = "ai8xc.ignored"
"""Where the context keeps options without effect and their values."""


class VendorCommand(HeadedCommand):
    """A command that knows what the vendor's tool calls things."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take out the vendor's options that have no effect, refuse those that are not there."""
        own = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        kept: list[str] = []
        ignored: dict[str, str] = {}
        words = iter(args)
        for word in words:
            name, _, value = word.partition("=")
            if name in own:
                kept.append(word)
            elif name in NOT_OFFERED:
                why = NOT_OFFERED[name][1]
                raise click.UsageError(f"`{name}` is not offered: {why}", ctx)
            elif name in NO_EFFECT:
                if NO_EFFECT[name][0] and not value:
                    value = next(words, "")
                ignored[name] = value
            else:
                kept.append(word)
        ctx.meta[IGNORED] = ignored
        return super().parse_args(ctx, kept)


def ignored_options(ctx: click.Context) -> dict[str, str]:
    """Return the options without effect that were given, with their values."""
    found: dict[str, str] = ctx.meta.get(IGNORED, {})
    return found


def no_effect(ctx: click.Context) -> list[Diagnostic]:
    """Return a warning for each option without effect."""
    from ai8xc.ir.loc import UNKNOWN
    from ai8xc.requests import NO_EFFECT as RULE

    return [RULE.at(UNKNOWN, option=o, why=NO_EFFECT[o][1]) for o in ignored_options(ctx)]
