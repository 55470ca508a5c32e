"""The C text that generated files are made from."""

from __future__ import annotations

from functools import cache
from importlib import resources
from string import Template


class CTemplate(Template):
    """A template whose placeholders are `@{name}`, which C never contains."""

    delimiter = "@"


@cache
def runtime_file(path: str) -> str:
    """Return the text of a file of the C runtime."""
    return resources.files("ai8xc.runtime_c").joinpath(path).read_text("utf-8")


def template(file: str) -> str:
    """Return the text of a template."""
    return runtime_file(f"templates/{file}")


def fill(file: str, /, **values: object) -> str:
    """Return a template with every placeholder filled; KeyError when one is left."""
    return CTemplate(template(file)).substitute(values)
