"""The example device of the manual: it is found, its limits hold, its registers compute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ai8xc.backends.base import backends
from ai8xc.cli.main import cli
from ai8xc.data_files import add_device, read_description, read_registers
from ai8xc.plugins import load_backends

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples/devices/small_device.py"
NAME = "max78000_small"
HALF_OF_THE_COLUMNS = 384


@pytest.fixture(autouse=True)
def _forgotten_after_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    load_backends()  # modules register once: not among those that are forgotten
    monkeypatch.setattr("ai8xc.data_files._BROUGHT", {})
    monkeypatch.setattr("ai8xc.backends.base._BACKENDS", dict(backends()))


def ai8xc(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_it_is_listed_once_loaded() -> None:
    result = ai8xc("devices", "--load", PLUGIN, "--format", "json")
    assert result.exit_code == 0, result.output
    devices = {device["name"]: device for device in json.loads(result.stdout)["devices"]}
    assert devices[NAME]["kernel_columns"] == HALF_OF_THE_COLUMNS
    assert devices[NAME]["max_layers"] == devices["max78000"]["max_layers"]


def test_it_compiles_and_computes(tmp_path: Path) -> None:
    net = ROOT / "examples/mnist/mnist.onnx"
    common = ("--load", PLUGIN, "--emit", "registers", "--prove", "-o", tmp_path / "out")
    result = ai8xc("compile", net, "--device", "small", *common)
    assert result.exit_code == 0, result.output
    assert "proven: lower-to-reg (1 value equal bit for bit)" in result.stderr
    registers = json.loads((tmp_path / "out/registers.json").read_text())
    assert registers["device"] == NAME
    addresses = np.load(tmp_path / "out/memory.npz")["weights_address"]
    columns = addresses.astype(np.int64) % 0x4000 // 16
    assert columns.max() < HALF_OF_THE_COLUMNS


def test_what_it_leaves_out_is_as_on_the_other() -> None:
    add_device(PLUGIN.with_name(NAME))
    ours, theirs = read_description(NAME), read_description("max78000")
    said = {"name", "aliases", "data_memory_bytes", "kernel_columns", "kernel_columns_large"}
    assert {key for key in theirs if ours[key] != theirs[key]} == said
    assert read_registers(NAME) == read_registers("max78000") | {"device": NAME}


def test_a_folder_without_a_description(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"device\.toml"):
        add_device(tmp_path)
