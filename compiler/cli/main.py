"""The `ai8xc` command: a group whose commands are imported when they are named."""

from __future__ import annotations

import importlib
from typing import Final

import click

COMMANDS: Final = (
    "compile",
    "check",
    "run",
    "inspect",
    "evaluate",
    "quantize",
    "train",
    "export",
    "opt",
    "reduce",
    "passes",
    "devices",
    "rules",
    "explain",
)
"""The commands, in the order of the help; each is a module of this package."""


class LazyGroup(click.Group):
    """Imports the module of a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ai8xc.cli.{cmd_name}")
        command = module.command
        return command if isinstance(command, click.Command) else None


_HELP: Final = """Compile trained networks for the MAX78000 and MAX78002 CNN accelerators.

\b
Exit codes: 0 done; 1 the model breaks rules, which are listed; 2 a file or
an argument cannot be used; 70 a mistake of this tool, with a reproducer.

\b
Example:
  ai8xc compile examples/mnist/mnist.onnx -o build --emit ir
"""


@click.group(cls=LazyGroup, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ai8xc", message="ai8xc %(version)s")
def cli() -> None:
    """Run one of the commands."""
