"""The options that watch a pipeline: print, dump, time and verify each step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from ai8xc.cli.common import say
from ai8xc.cli.headings import DEBUGGING, adding, option

if TYPE_CHECKING:
    from ai8xc.ir.core import Data, Graph
    from ai8xc.ir.hooks import Timer
    from ai8xc.ir.passes import Hook


class WatchArguments(TypedDict):
    """The values of `watch_options`."""

    print_after: str | None
    print_after_change: bool
    dump_ir: Path | None
    timed: bool
    verify_each: bool


watch_options = adding(
    (
        option(
            DEBUGGING,
            "--print-after",
            metavar="PASS",
            help="Print the graph after this pass, or `all`.",
        ),
        option(
            DEBUGGING,
            "--print-after-change",
            is_flag=True,
            help="Print the graph whenever it changed.",
        ),
        option(
            DEBUGGING,
            "--dump-ir",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Write the graph after each pass as `NN-<pass>.ir`.",
        ),
        option(DEBUGGING, "--time", "timed", is_flag=True, help="Print the time of each pass."),
        option(
            DEBUGGING,
            "--verify-each/--no-verify-each",
            default=True,
            show_default=True,
            help="Verify the graph after each pass.",
        ),
    )
)
"""Adds the options to a command."""


class Watch:
    """The hooks that were asked for, and what is left to do when the pipeline has ended."""

    def __init__(self, arguments: WatchArguments) -> None:
        from ai8xc.ir.hooks import DumpIr, PrintAfter, Timer, VerifyEach

        self._folder = arguments["dump_ir"]
        self._files: dict[str, bytes] = {}
        self._timer: Timer | None = Timer() if arguments["timed"] else None
        hooks: list[Hook] = [VerifyEach()] if arguments["verify_each"] else []
        name, changes = arguments["print_after"], arguments["print_after_change"]
        if name or changes:
            hooks.append(PrintAfter(say, name or "all", changes))
        if self._folder:
            hooks.append(DumpIr(self._keep))
        if self._timer:
            hooks.append(self._timer)
        self.hooks = tuple(hooks)

    def start(self, graph: Graph) -> None:
        """Keep the graph that the first pass gets."""
        from ai8xc.ir.printer import constants, print_graph

        if self._folder:
            self._keep("00-input", print_graph(graph), constants(graph))

    def finish(self, *, force: bool = False) -> None:
        """Write the dumped steps, print the times."""
        from ai8xc.files import write_folder

        if self._folder:
            write_folder(self._folder, self._files, force=force)
        if self._timer:
            say(self._timer.table())

    def _keep(self, stem: str, text: str, arrays: Mapping[str, Data]) -> None:
        from ai8xc.files import text_files

        self._files |= text_files(stem, text, arrays)
