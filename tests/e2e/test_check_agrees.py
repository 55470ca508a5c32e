"""`check` and `compile` agree: what compiles has no error, what is refused breaks the same rules.

`check` looks at large models by their outline, before anything is quantised; here it does so with
all. By default some of the networks are taken, `--golden-all` takes all.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import blocks
import onnx
import pytest
from fuzz.illegal_models import BREAKS, illegal_model
from fuzz.onnx_networks import legal_onnx

from ai8xc import survey
from ai8xc.device import load_device
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.diag import Rejected, errors

ROOT = Path(__file__).parents[2]
DEVICES = ("max78000", "max78002")
TEXTS = sorted((Path(__file__).parent / "networks").glob("*.ir"))
EVERY = 12  # of the sampled run


def files() -> Iterator[Path]:
    yield from TEXTS
    yield from sorted((ROOT / "examples").glob("*/*.onnx"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    every = metafunc.config.getoption("--golden-all")
    if "path" in metafunc.fixturenames:
        pairs = [(path, device) for path in files() for device in DEVICES]
        some = pairs if every else [pair for i, pair in enumerate(pairs) if i % EVERY == 1]
        ids = [f"{path.stem}-{device}" for path, device in some]
        metafunc.parametrize(("path", "device"), some, ids=ids)
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(30 if every else 3))


def refused_by_compile(path: Path, device: str) -> set[str]:
    try:
        compile_graph(load(path), Options(device, emit=frozenset({"registers"})))
    except Rejected as rejected:
        return {finding.rule.id for finding in errors(rejected.diagnostics)}
    return set()


def refused_by_check(path: Path, device: str) -> set[str]:
    try:
        found = survey.survey(path, Options(device)).diagnostics
    except Rejected as rejected:
        found = tuple(rejected.diagnostics)
    return {finding.rule.id for finding in errors(found)}


def assert_agreement(path: Path, device: str) -> None:
    compiled, checked = refused_by_compile(path, device), refused_by_check(path, device)
    assert compiled <= checked
    assert bool(compiled) == bool(checked)


def test_on_files(path: Path, device: str) -> None:
    assert_agreement(path, device)


@pytest.fixture
def outlined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model counts as large."""
    monkeypatch.setattr(survey, "SMALL", -1)


@pytest.mark.usefixtures("outlined")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", blocks.BLOCKS)
def test_on_outlines_of_known_forms(name: str, device: str, tmp_path: Path) -> None:
    assert_agreement(blocks.save(name, tmp_path), device)


@pytest.mark.usefixtures("outlined")
@pytest.mark.parametrize("device", DEVICES)
def test_on_outlines_of_random_models(seed: int, device: str, tmp_path: Path) -> None:
    onnx.save(legal_onnx(Random(seed)), tmp_path / "net.onnx")
    assert_agreement(tmp_path / "net.onnx", device)


@pytest.mark.usefixtures("outlined")
@pytest.mark.parametrize("entry", BREAKS, ids=lambda entry: entry[1].__name__)
def test_on_broken_models(entry: tuple[str, object], tmp_path: Path) -> None:
    _, content = illegal_model(Random(3), load_device("max78000"), entry)  # type: ignore[arg-type] # an entry of the table
    (tmp_path / "net.onnx").write_bytes(content)
    assert_agreement(tmp_path / "net.onnx", "max78000")
