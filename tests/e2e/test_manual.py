"""What a `console` block of the manual shows is what happens.

In such a block a line that begins with `$ ` is a command (with `\\` at the end it goes on in the
next line), the lines after it are what the command prints; `...` stands for anything. The blocks
of one page run in one folder, which has the examples of the repository.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {"--engine firmware": "arm-none-eabi-gcc"}
"""What a command needs, by a part of it: without the program its page stops with a reason."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command with what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\\n")) + 1
        yield "".join(lines[:end]).replace("\\\n", "").strip(), "".join(lines[end:]).strip()


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.name)
def test_page_shows_what_happens(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    for command, shown in (pair for block in blocks(page) for pair in commands(block)):
        for part, program in NEEDS.items():
            if part in command and shutil.which(program) is None:
                pytest.skip(f"`{command}` needs {program}")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        printed = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
        equal = doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)
        assert equal, f"$ {command}\n{printed}"


def test_a_block_that_lies_is_found() -> None:
    (pair,) = commands("$ echo a \\\n  b\na\n...\nc\n")
    assert pair == ("echo a   b", "a\n...\nc")
    check = doctest.OutputChecker().check_output
    assert check(pair[1], "a\nb\nc", doctest.ELLIPSIS)
    assert not check(pair[1], "a\nb\nd", doctest.ELLIPSIS)
