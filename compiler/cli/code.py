"""The options that say how the C of a project is written; their names are the vendor's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from ai8xc.cli.headings import CODE, FILES, HARDWARE, F, adding, option
from ai8xc.cli.network import Pattern


class Macros(click.ParamType["tuple[str, ...]"]):
    """Macros for the C compiler, separated by blanks."""

    name = "macros"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return them, each `NAME` or `NAME=VALUE`."""
        found = value if isinstance(value, tuple) else tuple(str(value).split())
        for macro in found:
            if not re.fullmatch(r"[A-Za-z_]\w*(=[\w.+-]*)?", macro):
                self.fail(f"`{macro}` is neither NAME nor NAME=VALUE", param, ctx)
        return found


class Board(Pattern):
    """A board of the vendor's SDK."""

    name = "name of a board"
    form = r"\w+"


class SourceFile(Pattern):
    """The name of a C file without a folder; the suffix may be left out."""

    name = "name of a C file"
    form = r"[A-Za-z0-9_-]+(\.c)?"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the name with its suffix."""
        if value == "none":
            self.fail("the functions `cnn_*` are a file of their own", param, ctx)
        return super().convert(value, param, ctx).removesuffix(".c") + ".c"


class HeaderFile(Pattern):
    """The name of a header without a folder."""

    name = "name of a header"
    form = r"[A-Za-z0-9_-]+\.h"


_FLAGS: Final[tuple[tuple[str, str, bool, str], ...]] = (
    ("--no-kat", "known_answer", False, "Leave out the known-answer test."),
    ("--unload/--no-unload", "unload", True, "Whether there is a function `cnn_unload`."),
    ("--softmax", "softmax", True, "Softmax of 8-bit class scores, too."),
    ("--no-wfi", "sleep", False, "Wait in a loop instead of sleeping."),
    ("--deepsleep", "deep_sleep", True, "Deep sleep of the Arm core (with --riscv)."),
    ("--no-timer", "timed", False, "Do not measure the inference."),
    ("--max-speed/--balance-speed", "max_speed", True, "Load at full speed, too (max78002)."),
    ("--verify-writes", "verify_writes", True, "Read registers back and compare."),
    ("--verify-kernels", "verify_weights", True, "Read weights back and compare."),
    ("--riscv-flash/--no-riscv-flash", "riscv_flash", True, "Constants lie in flash."),
    ("--riscv-cache/--no-riscv-cache", "riscv_cache", True, "Instruction cache."),
    ("--riscv-debug", "riscv_debug", True, "JTAG of the RISC-V core."),
    ("--riscv-exclusive", "riscv_exclusive", True, "SRAM of the RISC-V core is its own."),
)
"""Option, field of the settings, value of the first name, help."""

_VALUES: Final = (
    ("--max-checklines", "check_words", click.IntRange(1), "N", "Words that the known answer has."),
    ("--clock-divider", "clock_divider", click.Choice([1, 2, 4, 8, 16]), None, "Of its clock."),
    ("--switch-delay", "switch_delay", click.IntRange(0), "MS", "Time that its supply takes."),
    ("--debugwait", "debug_wait", click.IntRange(0), "S", "Seconds before anything sleeps (2)."),
    ("--unroll-8bit", "unroll_bytes", click.IntRange(1, 64), "N", "Unroll unloading of bytes."),
    ("--unroll-wide", "unroll_wide", click.IntRange(1, 64), "N", "The same for 32-bit outputs."),
    ("--unroll-mlator", "unroll_transposed", click.IntRange(1, 64), "N", "The same, --mlator."),
    ("--define", "defines", Macros(), "'A B=1'", "Macros for the C compiler."),
    ("--define-default-arm", "defines_arm", Macros(), "'A B=1'", "Only for the Arm core."),
    ("--define-default-riscv", "defines_riscv", Macros(), "'A B=1'", "Only for the RISC-V core."),
    ("--board-name", "board", Board(), "NAME", "The board that is built for."),
    ("--c-filename", "main_file", SourceFile(), "NAME", "Instead of `main.c`."),
    ("--api-filename", "api_file", SourceFile(), "NAME", "Instead of `cnn.c` and `cnn.h`."),
    ("--weight-filename", "weight_file", HeaderFile(), "NAME", "Instead of `weights.h`."),
    ("--sample-filename", "sample_file", HeaderFile(), "NAME", "Instead of `sampledata.h`."),
    ("--sample-output-filename", "answer_file", HeaderFile(), "NAME", "For `sampleoutput.h`."),
)
"""Option, field of the settings, type, name of the value, help."""

_ALIASES: Final = {"--max-checklines": ("--max-verify-length",)}
_HEADINGS: Final = {
    **dict.fromkeys(("clock_divider", "switch_delay", "max_speed"), HARDWARE),
    **dict.fromkeys(("main_file", "api_file", "weight_file", "sample_file"), FILES),
    **dict.fromkeys(("answer_file", "board"), FILES),
    **dict.fromkeys(("defines", "defines_arm", "defines_riscv"), FILES),
}
"""Headings by field; the others are about run time."""

_FOR_RISCV: Final = ("riscv_flash", "riscv_cache", "riscv_debug", "riscv_exclusive")
"""Fields whose options choose the RISC-V core, too; hardware semantics, section 6."""


def _options() -> Iterator[Callable[[F], F]]:
    for name, field, value, text in _FLAGS:
        heading = _HEADINGS.get(field, CODE)
        more: dict[str, Any] = {} if "/" in name else {"flag_value": value}
        yield option(heading, name, f"code_{field}", default=None, help=text, **more)
    for name, field, kind, metavar, text in _VALUES:
        names = (name, *_ALIASES.get(name, ()), f"code_{field}")
        heading = _HEADINGS.get(field, CODE)
        yield option(heading, *names, type=kind, metavar=metavar, default=None, help=text)


code_options = adding(_options())
"""Adds the options to a command."""


def code(arguments: Any) -> dict[str, object]:
    """Return the settings that were given, by field."""
    given = {str(row[1]): arguments[f"code_{row[1]}"] for row in (*_FLAGS, *_VALUES)}
    return {field: value for field, value in given.items() if value is not None}


def wants_riscv(settings: dict[str, object]) -> bool:
    """Whether an option was given that chooses the RISC-V core."""
    return any(settings.get(field) for field in _FOR_RISCV)
