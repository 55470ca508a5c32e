"""Options of the vendor's tool that the command has not: what becomes of each, and why.

The manual's page on the vendor's options says the same; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ai8xc.cli.headings import HeadedCommand

if TYPE_CHECKING:
    from ai8xc.ir.diag import Diagnostic

NO_EFFECT: Final[Mapping[str, tuple[int, str]]] = {
    "--ai85": (0, "the device is `--device`"),
    "--embedded-code": (0, "code for the device is always made"),
    "-e": (0, "code for the device is always made"),
    "--overwrite": (0, "a folder that an earlier run made is replaced; `--force` replaces any"),
    "--compact-data": (0, "the sample is always an array"),
    "--no-compact-data": (0, "the sample is always an array"),
    "--compact-weights": (0, "kernels are always a table"),
    "--mexpress": (0, "the packed loader is usual"),
    "--new-kernel-loader": (0, "it is the only one"),
    "--old-kernel-loader": (0, "the table of the new loader holds the same kernels"),
    "--unroll-mlator": (1, "code only; the C compiler unrolls"),
    "--unroll-8bit": (1, "code only; the C compiler unrolls"),
    "--unroll-wide": (1, "code only; the C compiler unrolls"),
    "--mlator-noverify": (0, "code only"),
    "--softmax": (0, "the project always has it"),
    "--unload": (0, "the project always has the function"),
    "--no-unload": (0, "the project always has the function"),
    "--no-kat": (0, "the known-answer test is always there; an application need not call it"),
    "--max-checklines": (1, "all words are checked"),
    "--max-verify-length": (1, "all words are checked"),
    "--no-wfi": (0, "code only"),
    "--no-timer": (0, "code only"),
    "--debugwait": (1, "code only"),
    "--deepsleep": (0, "code only"),
    "--max-speed": (0, "code only"),
    "--balance-speed": (0, "code only"),
    "--clock-divider": (1, "code only"),
    "--switch-delay": (1, "code only"),
    "--forever": (0, "code only"),
    "--verify-writes": (0, "the emulator checks what registers hold"),
    "--verify-kernels": (0, "the emulator checks what memories hold"),
    "--init-tram": (0, "code only"),
    "--pretend-zero-sram": (0, "for register simulations"),
    "--zero-unused": (
        0,
        "it would clear registers of the last layer, which are used; all others are written",
    ),
    "--riscv-flash": (0, "code only"),
    "--no-riscv-flash": (0, "code only"),
    "--riscv-cache": (0, "code only"),
    "--no-riscv-cache": (0, "code only"),
    "--riscv-debug": (0, "code only"),
    "--riscv-exclusive": (0, "code only"),
    "--no-warn-zero": (0, "the warning is one line"),
    "--no-error-stop": (0, "all errors are reported, and nothing is written"),
    "--ignore-bias-groups": (0, "biases lie where there is room"),
    "--ignore-energy-warning": (0, "there is no such warning"),
    "--ignore-mlator-warning": (0, "there is no such warning"),
    "--debug-new-streaming": (0, "it is usual"),
    "--display-checkpoint": (0, "`--print-after` shows shapes and widths"),
    "--verbose": (0, "`--print-after`, `--time` and the manifest tell more"),
    "-v": (0, "`--print-after`, `--time` and the manifest tell more"),
    "--log": (0, "redirect the output"),
    "-L": (0, "redirect the output"),
    "--no-log": (0, "there is no log"),
    "--log-filename": (1, "redirect the output"),
    "--log-intermediate": (0, "`--prove` compares every layer"),
    "--log-pooling": (0, "`--prove` compares every layer"),
    "--no-progress": (0, "there are no progress bars"),
    "--yamllint": (1, "the description is checked by the reader"),
    "--no-version-check": (0, "nothing is looked up"),
    "--version-check-interval": (1, "nothing is looked up"),
    "--upstream": (1, "nothing is looked up"),
    "--sample-numpy-filename": (1, "`memory.npz` and `ai8xc run --output` hold the output"),
    "--board-name": (1, "the Makefile of the project takes `BOARD`"),
    "--c-filename": (1, "the files have fixed names"),
    "--api-filename": (1, "the files have fixed names"),
    "--weight-filename": (1, "the files have fixed names"),
    "--sample-filename": (1, "the files have fixed names"),
    "--sample-output-filename": (1, "the files have fixed names"),
    "--define": (1, "the Makefile of the project takes `PROJ_CFLAGS`"),
    "--define-default-arm": (1, "the Makefile of the project takes `PROJ_CFLAGS`"),
    "--define-default-riscv": (1, "the Makefile of the project takes `PROJ_CFLAGS`"),
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
    "--snoop-loop": (0, "an endless loop for register simulations (NET-SNOOPLOOP)"),
    "--slow-load": (1, "pushing waits until there is room"),
    "--allow-streaming": (0, "the hardware does not stream from memory"),
    "--ignore-hw-limits": (0, "what breaks a limit does not work"),
    "--ignore-bn": (0, "fold batch norms before you quantise"),
    "--test-bist": (0, "a test of the chip"),
    "--rtl": (0, "register simulations are the vendor's"),
    "--rtl-preload": (0, "register simulations are the vendor's"),
    "--input-csv": (1, "register simulations are the vendor's"),
    "--legacy-test": (0, "register simulations are the vendor's"),
    "--legacy-kernels": (0, "register simulations are the vendor's"),
}
"""Options that would change the result and are not there: number of values, why."""

IGNORED: Final = "ai8xc.ignored"
"""Where the context keeps options without effect and their values."""

_REQUESTS: Final = {
    "--deepsleep": "deep_sleep",
    "--max-speed": "max_speed",
    "--no-riscv-cache": "no_riscv_cache",
}


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


def requests(ctx: click.Context) -> dict[str, Any]:
    """Return what options without effect ask of the device, as settings of a run."""
    given = ignored_options(ctx)
    return {_REQUESTS[name]: value or True for name, value in given.items() if name in _REQUESTS}
