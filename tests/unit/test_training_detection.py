"""Priors, MultiBox loss and detections against vectors and against definitions."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ai8xc.training.detection import PRIORS, MultiBoxLoss, detect  # noqa: E402 - torch may be absent
from ai8xc.training.detection.nms import suppressed  # noqa: E402
from ai8xc.training.detection.priors import (  # noqa: E402
    decoded,
    encoded,
    overlaps,
    to_centres,
    to_corners,
)

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("AI8XC_GOLDEN", ROOT / "../shared/golden"))
VECTORS = GOLDEN.with_name("golden_training") / "detection/tinierssd_4classes.npz"


@pytest.fixture(scope="module")
def vectors() -> dict[str, torch.Tensor]:
    if not VECTORS.is_file():
        pytest.skip("no golden vectors for training")
    found = np.load(VECTORS)
    return {name: torch.from_numpy(found[name]) for name in found.files}


def test_priors(vectors: dict[str, torch.Tensor]) -> None:
    assert torch.equal(PRIORS["tinierssd"].boxes(), vectors["priors_cxcy"])


def test_numbers_of_priors() -> None:
    counts = {name: priors.count for name, priors in PRIORS.items()}
    assert counts["tinierssd"] == 1700
    assert counts["tinierssdface"] == 1246
    assert counts["tinierssdqr"] == 1548
    assert all(len(priors.boxes()) == counts[name] for name, priors in PRIORS.items())


@pytest.mark.parametrize(("alpha", "ratio"), [(2, 3), (3, 4)])
def test_loss(vectors: dict[str, torch.Tensor], alpha: int, ratio: int) -> None:
    loss = MultiBoxLoss(vectors["priors_cxcy"], alpha=alpha, neg_pos_ratio=ratio)
    boxes = [vectors[f"boxes_{i}"] for i in range(3)]
    labels = [vectors[f"labels_{i}"] for i in range(3)]
    found = loss(vectors["locs"], vectors["scores"], boxes, labels)
    assert float(found) == pytest.approx(float(vectors[f"loss_a{alpha}_n{ratio}"]), rel=1e-6)


def test_detections(vectors: dict[str, torch.Tensor]) -> None:
    """Classes and probabilities are equal; boxes but for the last bit of `exp`."""
    cases = {name.rpartition("_")[0] for name in vectors if name.startswith("det_")}
    assert len(cases) == 12
    for case in cases:
        _, min_score, max_overlap, top_k, image = case.split("_")
        found = detect(
            vectors["locs"],
            vectors["scores"],
            vectors["priors_cxcy"],
            min_score=float(min_score),
            max_overlap=float(max_overlap),
            top_k=int(top_k),
        )[int(image)]
        assert torch.equal(found.labels, vectors[f"{case}_labels"])
        assert torch.equal(found.scores, vectors[f"{case}_scores"])
        torch.testing.assert_close(found.boxes, vectors[f"{case}_boxes"], rtol=0, atol=3e-8)


def test_offsets_are_inverted() -> None:
    torch.manual_seed(0)
    priors = PRIORS["tinierssdface"].boxes()
    boxes = torch.rand(len(priors), 4) * 0.5 + 0.1
    torch.testing.assert_close(decoded(encoded(boxes, priors), priors), boxes, atol=1e-5, rtol=0)
    torch.testing.assert_close(to_centres(to_corners(boxes)), boxes)


def test_overlap() -> None:
    a = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    b = torch.tensor([[0.25, 0.0, 0.75, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5]])
    torch.testing.assert_close(overlaps(a, b), torch.tensor([[1 / 3, 0, 1]]))


def test_suppression_is_greedy() -> None:
    """A dropped box drops no others."""
    boxes = torch.tensor([[0, 0, 1, 1], [0.4, 0, 1.4, 1], [0.8, 0, 1.8, 1]])
    assert suppressed(boxes, 0.3).tolist() == [True, False, True]


def test_an_image_without_objects_counts_its_background() -> None:
    priors = PRIORS["tinierssdface"].boxes()
    loss = MultiBoxLoss(priors)
    scores = torch.zeros(1, len(priors), 2)
    none = [torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)]
    found = loss(torch.zeros(1, len(priors), 4), scores, *none)
    assert float(found) == pytest.approx(np.log(2), rel=1e-6)


def test_an_object_has_at_least_one_prior() -> None:
    priors = PRIORS["tinierssd"].boxes()
    tiny = torch.tensor([[0.5, 0.5, 0.51, 0.51]])
    _, classes = MultiBoxLoss(priors).match(tiny, torch.tensor([3]))
    assert classes.tolist().count(3) == 1


def test_key_points() -> None:
    """Key points count by their distance where their prior is positive."""
    priors = PRIORS["tinierssdqr"].boxes()
    loss = MultiBoxLoss(priors, alpha=1)
    box = to_corners(priors[100:101])
    target = torch.cat([box, torch.full((1, 8), 0.5)], 1)
    offsets, classes = loss.match(target, torch.tensor([1]))
    scores = torch.zeros(1, len(priors), 2)
    exact = loss(offsets[None], scores, [target], [torch.tensor([1])])
    moved = offsets.clone()
    moved[classes > 0, 4:] += 0.2
    far = loss(moved[None], scores, [target], [torch.tensor([1])])
    assert float(far - exact) == pytest.approx(4 * 0.5 * 0.2**2, rel=1e-3)  # smooth L1, 4 points
