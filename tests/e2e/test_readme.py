"""What the README shows is what happens."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from ai8xc.cli.main import cli
from ai8xc.ir.passes import passes
from ai8xc.plugins import load_passes

load_passes()
pytestmark = pytest.mark.skipif(
    find_spec("ai8xc.frontend.onnx_model") is None or "normalize-linear" not in passes(),
    reason="needs the ONNX front end and the pass `normalize-linear`",
)
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def run(command: str, *more: str) -> tuple[str, str]:
    """Return what an `ai8xc ...` command line prints."""
    result = CliRunner().invoke(cli, [*command.split(), *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_first_command_compiles_and_proves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"\.venv/bin/ai8xc (compile .*)", README)
    assert "-o build/mnist" in command
    _, told = run(command.replace("build/mnist", str(tmp_path / "out")))
    steps = {path.stem for path in (tmp_path / "out").glob("*.ir")} - {"00-input"}
    assert re.findall(r"^(?:not )?proven: (\S+)", told, re.MULTILINE) == [
        name.partition("-")[2] for name in sorted(steps)
    ]


def test_shown_accuracy_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, shown = re.findall(r"\$ ai8xc (evaluate .*)\n((?:.+ %\n|samples.*\n)+)", README)[0]
    printed, _ = run(command)
    assert printed.splitlines()[:4] == shown.splitlines()
