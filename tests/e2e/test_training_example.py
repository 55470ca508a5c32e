"""The digits example: trained, compiled and run, the same numbers everywhere."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lightning")
pytest.importorskip("sklearn")

from click.testing import CliRunner

from ai8xc.cli.main import cli

EXAMPLE = Path(__file__).parents[2] / "examples/train"


def test_trainer_interpreter_and_device_agree(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["train", str(EXAMPLE / "digits.yaml"), "--output", str(run), "--quiet"]
    trained = CliRunner().invoke(cli, arguments)
    assert trained.exit_code == 0, trained.output
    code = [sys.executable, str(EXAMPLE / "same_predictions.py"), str(run)]
    result = subprocess.run(
        [*code, "--engine", "registers"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1] == "all outputs are equal, number by number"
    shares = {line.split()[1] for line in lines[:-1]}
    assert len(shares) == 1
    assert int(shares.pop()) / 359 > 0.95
    assert "of 359 right" in lines[0]
