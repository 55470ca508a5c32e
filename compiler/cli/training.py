"""What the commands of the training side share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from ai8xc.cli.headings import F

LIBRARIES = ("captum", "lightning", "matplotlib", "safetensors", "tensorboard", "torch", "yaml")


def file_option(help: str) -> Callable[[F], F]:
    """The option `-o` of a command that writes one file."""
    kind = click.Path(path_type=Path)
    return click.option("-o", "--output", type=kind, required=True, metavar="FILE", help=help)


def checkpoint_option(help: str) -> Callable[[F], F]:
    """The option `--checkpoint`."""
    return click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help=help)


@contextmanager
def absent_libraries() -> Iterator[None]:
    """Turn a missing library of training into a finding that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        from ai8xc.training.rules import NO_EXTRA, refused

        package = (error.name or "").partition(".")[0]
        if package not in (*LIBRARIES, "torchmetrics"):
            raise
        raise refused(NO_EXTRA, package=package) from error


def table(result: Mapping[str, object]) -> str:
    """Return the result of a run as text."""
    metric = str(result["metric"])
    rows = [f"samples           {result['samples']}"]
    for mode in ("float", "qat", "integer"):
        value = float(str(result[f"{mode}_{metric}"]))
        shown = f"{100 * value:.2f} %" if metric in ("accuracy", "map") else f"{value:.6f}"
        rows.append(f"{f'{mode} {metric}':<18}{shown}")
    if "agreement" in result:
        rows.append(f"agreement         {100 * float(str(result['agreement'])):.2f} %")
    return "\n".join(rows)
