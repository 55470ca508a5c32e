"""The output depends on inputs and options alone, and the manifest says on which."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ai8xc

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
NAMES = {
    *("ai8xc.json", "cnn.c", "cnn.h", "main.c", "weights.h", "sampledata.h", "sampleoutput.h"),
    *("softmax.c", "Makefile", "project.mk", "registers.json", "memory.npz"),
}


def compiled(folder: Path, seed: str, *, relative: bool) -> dict[str, bytes]:
    """The files of a compile in a process of its own, in a folder of its own."""
    folder.mkdir()
    for name in ("digits.onnx", "sample.npy"):
        shutil.copy(DIGITS / name, folder)
    at = Path() if relative else folder
    command = ["compile", str(at / "digits.onnx"), "--sample", str(at / "sample.npy")]
    command += ["-o", str(at / "out"), "--emit", "c,registers", "--device", "max78000"]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "UTC+7", "LC_ALL": "C"}
    process = [sys.executable, "-m", "ai8xc", *command]
    subprocess.run(process, check=True, cwd=folder, env=environment, capture_output=True)
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    return compiled(tmp_path_factory.mktemp("a") / "first", "1", relative=False)


def test_same_bytes_anywhere(files, tmp_path):
    again = compiled(tmp_path / "second", "2", relative=True)
    assert set(files) == NAMES
    assert [name for name in NAMES if files[name] != again[name]] == []


def test_no_place_or_time(files, tmp_path):
    text = b"".join(files[name] for name in NAMES - {"memory.npz"})
    for secret in (b"/tmp", str(tmp_path).encode(), b"/home", os.uname().nodename.encode()):
        assert secret not in text


def test_manifest(files):
    manifest = json.loads(files["ai8xc.json"])
    assert manifest["tool"] == {"name": "ai8xc", "version": ai8xc.__version__}
    assert manifest["device"] == "max78000"
    assert manifest["options"]["pipeline"].startswith("float,integer,")
    for name in ("digits.onnx", "sample.npy"):
        content = (DIGITS / name).read_bytes()
        assert manifest["inputs"][name] == hashlib.sha256(content).hexdigest()
    for name in NAMES - {"ai8xc.json"}:
        assert manifest["outputs"][name] == hashlib.sha256(files[name]).hexdigest()
    assert set(manifest["outputs"]) == NAMES - {"ai8xc.json"}
    decisions = {"nodes", "processors", "output_processors", "in_offset", "out_offset", "cycles"}
    decisions |= {"kernel_start", "bias_group", "bias_start", "weight_bits"}
    assert all(decisions <= set(layer) for layer in manifest["layers"])
    total = sum(layer["cycles"] for layer in manifest["layers"])
    assert manifest["cycles"]["total"] == total + 1
    memory = manifest["memory"]
    assert 0 < memory["weight_bytes"] <= memory["weight_bytes_available"]
