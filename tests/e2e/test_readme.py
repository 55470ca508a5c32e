"""What the README shows is what happens."""

import re
from importlib.util import find_spec
from pathlib import Path
from shutil import which

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


@pytest.mark.skipif(which("arm-none-eabi-gcc") is None, reason="gcc-arm-none-eabi is missing")
def test_first_command_compiles_proves_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"\.venv/bin/ai8xc (compile .*?) && ", README)
    assert "-o build/mnist" in command
    _, told = run(command.replace("build/mnist", str(tmp_path / "out")))
    assert "proven: lower-to-reg (1 value equal bit for bit)" in told
    printed, _ = run(f"run {tmp_path / 'out'}")
    (shown,) = re.findall(r"\$ ai8xc run build/mnist\n(.*?)```", README, re.DOTALL)
    lines = map(without_counts, printed.splitlines())
    wanted = [without_counts(line) for line in shown.splitlines() if line != "..."]
    assert all(line in lines for line in wanted)  # in this order
    (layer,) = re.findall(r"```c\n(.*?)```", README, re.DOTALL)
    assert layer in (tmp_path / "out" / "cnn.c").read_text()


def without_counts(line: str) -> str:
    """A line of what `run` prints without the numbers that depend on the C compiler."""
    return re.sub(r"\s*\d+", " #", line) if re.match(r"  (cnn|load)_|flash", line) else line


def test_shown_accuracy_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, shown = re.findall(r"\$ ai8xc (evaluate .*)\n((?:.+ %\n|samples.*\n)+)", README)[0]
    printed, _ = run(command)
    assert printed.splitlines()[:4] == shown.splitlines()
