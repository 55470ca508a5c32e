"""The reference pages of the manual are those that the code gives, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_reference_pages_are_up_to_date() -> None:
    """In a process of its own: other tests register passes that are not ours."""
    script = (
        "import runpy, sys; from pathlib import Path; docs = Path(sys.argv[1]);"
        "pages = runpy.run_path(str(docs / 'generate.py'))['pages']();"
        "print([p for p, t in pages.items() if (docs / p).read_text('utf-8') != t])"
    )
    command = [sys.executable, "-c", script, str(DOCS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", "run `python docs/generate.py`"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_pages(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+\.md)[^)]*\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_example_pass_of_the_manual_works(tmp_path: Path) -> None:
    """The pass and the text test of `writing-a-pass.md`, as they stand there."""
    text = (DOCS / "writing-a-pass.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (graph,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    (tmp_path / "merge_relus.py").write_text(code)
    (tmp_path / "net.ir").write_text(graph)
    command = [sys.executable, "-m", "ai8xc", "opt", str(tmp_path / "net.ir")]
    command += ["--load", str(tmp_path / "merge_relus.py"), "--passes", "merge-relus"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("nn.relu") == 1


def test_the_example_of_the_placement_is_what_the_compiler_gives(tmp_path: Path) -> None:
    """Every layer of the page, its attributes included, is in the output."""
    text = (DOCS / "placement.md").read_text("utf-8")
    graph, layers, _ = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    (tmp_path / "block.ir").write_text(graph)
    command = [sys.executable, "-m", "ai8xc", "opt", "--device", "max78000"]
    command += ["--passes", "layers", str(tmp_path / "block.ir")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shown = [line for line in layers.splitlines() if "place = " in line]
    assert len(shown) == 4
    for line in shown:
        assert " ".join(line.split()) in " ".join(done.stdout.split())
