"""Random networks: legal ones are proven down to registers, illegal ones refused by their rule.

The long form is `benchmarks/fuzz.py`.
"""

from pathlib import Path
from random import Random

import onnx
import pytest

from ai8xc.device import load_device
from ai8xc.driver import load
from ai8xc.ir.diag import errors
from ai8xc.rules.catalogue import check
from fuzz.illegal import BREAKS, Break, illegal
from fuzz.illegal_layers import illegal_layers
from fuzz.networks import legal
from fuzz.onnx_networks import legal_onnx
from fuzz.verdict import verdict

DEVICES = ["max78000", "max78002"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(25))
def test_legal_networks_are_proven(device: str, seed: int) -> None:
    found = verdict(legal(Random(seed), load_device(device)), device)
    assert found.kind == "proven", found.why


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(6))
def test_legal_models_are_proven(device: str, seed: int, tmp_path: Path) -> None:
    onnx.save(legal_onnx(Random(seed)), tmp_path / "net.onnx")
    found = verdict(load(tmp_path / "net.onnx"), device)
    assert found.kind == "proven", found.why


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("entry", BREAKS, ids=lambda entry: entry[1].__name__)
def test_illegal_networks_are_refused_by_their_rule(device: str, entry: tuple[str, Break]) -> None:
    rule, graph = illegal(Random(1), load_device(device), entry)
    found = verdict(graph, device)
    assert (found.kind, found.rules) == ("refused", (rule,)), found.why


@pytest.mark.parametrize("device", DEVICES)
def test_illegal_layers_are_refused_by_their_rule(device: str) -> None:
    for seed in range(40):
        rule, graph = illegal_layers(Random(seed), load_device(device))
        found = {finding.rule.id for finding in errors(check(graph, load_device(device)))}
        assert found == {rule}, f"seed {seed}"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "found").glob("*.ir")), ids=lambda path: path.stem
)
def test_former_findings_are_proven(device: str, path: Path) -> None:
    found = verdict(load(path), device)
    assert found.kind == "proven", found.why
