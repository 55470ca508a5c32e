"""Random networks: legal ones are proven down to registers, illegal ones refused by their rule.

The long forms are `benchmarks/fuzz.py` and `benchmarks/mutate.py`.
"""

from pathlib import Path
from random import Random

import golden_corpus
import onnx
import pytest

from ai8xc.device import load_device
from ai8xc.driver import load
from ai8xc.ir.diag import rules
from ai8xc.plugins import load_rules
from fuzz.breaks import KINDS, Judge, covered
from fuzz.described import judged
from fuzz.elsewhere import ELSEWHERE
from fuzz.illegal import BREAKS, Break, illegal, possible
from fuzz.mutations import mutant
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
    if not possible(entry[0], load_device(device)):
        pytest.skip("the device cannot break it")
    rule, graph = illegal(Random(1), load_device(device), entry)
    found = verdict(graph, device)
    assert (found.kind, found.rules) == ("refused", (rule,)), found.why


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.__name__)
def test_illegal_files_and_layers_are_refused_by_their_rule(
    device: str, kind: Judge, tmp_path: Path
) -> None:
    for seed in range(40):
        found = kind(Random(seed), load_device(device), tmp_path)
        assert found.right, f"seed {seed}: {found.rule} expected, {sorted(found.found)} found"


def test_each_rule_is_broken_singly_or_it_is_said_why_not() -> None:
    load_rules()
    breaking = {rule.id for rule in rules().values() if rule.severity == "error"}
    assert set(covered()) & set(ELSEWHERE) == set()
    assert breaking - set(covered()) - set(ELSEWHERE) == set()
    assert set(covered()) | set(ELSEWHERE) <= breaking


@pytest.mark.skipif(golden_corpus.golden_folder() is None, reason=golden_corpus.NO_VECTORS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(10))
def test_changed_descriptions_are_proven_or_refused(device: str, seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    made = mutant(random, device)
    found = judged(made, random, tmp_path, ("registers",))
    assert found.kind in ("proven", "refused"), f"{made.base} {made.changes} {found.why}"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "found").glob("*.ir")), ids=lambda path: path.stem
)
def test_former_findings_are_proven(device: str, path: Path) -> None:
    found = verdict(load(path), device)
    assert found.kind == "proven", found.why
