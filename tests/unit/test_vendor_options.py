"""The manual's table of the vendor's options says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ai8xc.cli.main import cli
from ai8xc.cli.vendor_table import NO_EFFECT, NOT_OFFERED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "vendor-options.md"
ROWS = re.findall(r"^\| `(-[^`]+)` \| ([a-z ]+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)


def own_options() -> set[str]:
    command = cli.get_command(click.Context(cli), "compile")
    assert command is not None
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


def test_every_row_is_true() -> None:
    own, known = own_options(), {}
    for name, status, why in ROWS:
        known[name] = status
        assert why
        if status in ("same", "renamed"):
            assert name in own
        elif status == "not needed":
            assert (name in NO_EFFECT and NO_EFFECT[name][1] == why) or name in own
        else:
            assert status == "not offered"
            assert NOT_OFFERED[name][1] == why
    assert set(NOT_OFFERED) <= set(known)
    assert {name for name in NO_EFFECT if name.startswith("--")} <= set(known)


@pytest.mark.parametrize("name", sorted(set(NOT_OFFERED) - own_options()))
def test_what_is_not_offered_is_refused_with_the_reason(name: str) -> None:
    result = CliRunner().invoke(cli, ["compile", "net.yaml", "-o", "x", name])
    assert result.exit_code == 2
    assert f"`{name}` is not offered: {NOT_OFFERED[name][1]}" in result.stderr
