"""Every error says what helps, what it costs, and who applies it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto
from onnx_models import model_of, node, real, saved

from ai8xc.cures import CURES, rows_of, weight_snr_db
from ai8xc.device import load_device
from ai8xc.driver import Options
from ai8xc.ir.diag import Cure, errors, rules
from ai8xc.ir.report_model import Survey
from ai8xc.rules.catalogue import checks
from ai8xc.rules.remedies import REMEDIES
from ai8xc.survey import survey

D0 = load_device("max78000")


def verdict(
    tmp_path: Path,
    nodes: list[NodeProto],
    x: np.ndarray,
    constants: dict[str, np.ndarray],
    device: str = "max78000",
) -> Survey:
    return survey(saved(model_of(nodes, {"x": x}, constants), tmp_path), Options(device))


def cures_of(found: Survey, rule: str) -> tuple[Cure, ...]:
    (finding,) = [f for f in found.diagnostics if f.rule.id == rule]
    return finding.cures


def test_cured_rules_exist() -> None:
    from ai8xc.plugins import load_rules

    load_rules()
    assert set(CURES) <= set(rules())


def test_a_large_input_is_folded_or_pooled(tmp_path: Path) -> None:
    """224 x 224 pixels of three channels take 200,704 bytes; folded 4x4 they are 48 x 56 x 56."""
    conv = node("Conv", "x w", "y", pads=[1, 1, 1, 1])
    found = verdict(tmp_path, [conv], real(1, 3, 224, 224), {"w": real(4, 3, 3, 3)})
    cures = {cure.text: cure for cure in cures_of(found, "AX120")}
    folded = cures["fold the input 4x4: 48 x 56 x 56 fits in HWC"]
    assert folded.data_bytes == 4 * 56 * 56 - 4 * 224 * 224
    assert any("pool by 4" in text for text in cures)


def test_outputs_of_8_bits_take_a_quarter(tmp_path: Path) -> None:
    """4 x 48 x 48 accumulators of 32 bits take 36,864 bytes of one memory, of 8 bits 9,216."""
    conv = node("Conv", "x w", "y")
    found = verdict(tmp_path, [conv], real(1, 16, 48, 48), {"w": real(4, 16, 1, 1)})
    (cure,) = (c for c in cures_of(found, "AX120") if "--output-width 8" in c.text)
    assert cure.data_bytes is not None
    assert cure.data_bytes <= 9216 - 36864


def test_fewer_channels_save_kernels_and_cycles(tmp_path: Path) -> None:
    """Half the outputs: half the kernels and half the cycles, as the estimate counts them."""
    conv = node("Conv", "x w", "y")
    found = verdict(tmp_path, [conv], real(1, 4, 2, 2), {"w": real(2048, 4, 1, 1)})
    (cure,) = cures_of(found, "CHAN-OUT")
    assert cure.text == "give `Conv_y` 1024 output channels instead of 2048"
    assert cure.kernel_bytes == pytest.approx(-2048 * 4 // 2, rel=0.01)
    assert cure.cycles is not None
    assert cure.cycles < 0
    assert cure.by == "you"


def test_cost_of_small_windows_is_that_of_the_layers() -> None:
    """Two layers of 3x3: 9 bytes for each kernel, and the cycles of a placed network."""
    rows = rows_of(D0, (4, 16, 16), 8, 8)
    assert [row.kernel_bytes for row in rows] == [9 * 4 * 8, 9 * 8 * 8]
    assert all(row.cycles for row in rows)


@pytest.mark.parametrize(
    ("kind", "exact"), [("HardSwish", False), ("LeakyRelu", False), ("Tanh", False)]
)
def test_activations_are_cured_at_no_cost(tmp_path: Path, kind: str, exact: bool) -> None:
    nodes = [node("Conv", "x w", "c"), node(kind, "c", "a"), node("Conv", "a w", "y")]
    found = verdict(tmp_path, nodes, real(1, 4, 8, 8), {"w": real(4, 4, 3, 3)})
    (finding,) = errors(found.diagnostics)
    (cure,) = finding.cures
    assert (cure.by, cure.exact, cure.cycles, cure.kernel_bytes) == ("fix", exact, 0, 0)
    assert "train" in cure.accuracy
    assert "costs nothing" in cure.cost
    assert "`check --fix` does it" in cure.cost


def test_every_error_has_a_cure(tmp_path: Path) -> None:
    """Many things wrong at once: each is reported, each with a cure."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Gelu", "c", "g", domain=""),
        node("MatMul", "g g", "m"),
        node("LRN", "m", "l", size=3),
        node("Conv", "l v", "y"),
    ]
    constants = {"w": real(4, 4, 1, 1), "v": real(2048, 4, 1, 1)}
    found = verdict(tmp_path, nodes, real(1, 4, 8, 8), constants)
    wrong = errors(found.diagnostics)
    assert {finding.rule.id for finding in wrong} >= {"NN010", "CHAN-OUT"}
    assert all(finding.cures and finding.help for finding in wrong)
    assert not found.fits
    assert not found.complete


def test_every_rule_of_the_hardware_says_what_helps() -> None:
    assert [r.id for r, _ in checks().values() if r.severity == "error" and not r.cure] == []
    assert set(REMEDIES) <= set(checks())


def test_a_bit_of_the_weights_is_six_decibels() -> None:
    values = np.random.default_rng(1).uniform(-1, 1, 10_000)
    ratios = [weight_snr_db(values, bits) for bits in (8, 4, 2)]
    assert ratios[0] - ratios[1] == pytest.approx(24, abs=1.5)
    assert ratios[1] - ratios[2] == pytest.approx(12, abs=3)


def test_too_many_kernels_tell_what_narrower_weights_lose(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Conv", "c v", "y")]
    constants = {"w": real(1024, 64, 3, 3), "v": real(64, 1024, 3, 3)}
    found = verdict(tmp_path, nodes, real(1, 64, 6, 6), constants)
    (cure,) = (c for c in cures_of(found, "WMEM") if c.text.startswith("4-bit"))
    assert "dB of signal to noise" in cure.accuracy
    assert "you change it" in cure.cost
