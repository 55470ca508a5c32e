"""The vendor's training vectors, where they are installed."""

from __future__ import annotations

import fnmatch
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

DEFECTS = {
    ("bitwiseor_*", "y_float"): "(a + 1/2) * 256 is not the 8-bit pattern of a real number",
    ("bitwisexor_*", "y_float"): "(a + 1/2) * 256 is not the 8-bit pattern of a real number",
    ("tconv2d_bnrelu_*", "fused.*"): (
        "folding scales a transposed convolution along its inputs: an exception, no results"
    ),
    ("qat_override*_uncheckpointed_*", "*.weight_bits"): (
        "the vendor's quantiser writes 8 whatever the width, and its loader then loses the biases"
    ),
    ("clip_*_withbias_*", "*"): "the vendor's quantiser fails for biases: no results",
}
"""Vectors that record a defect: (file, array) patterns and what is wrong. Tests of their own check
the right result."""


def is_defect(path: Path, array: str) -> bool:
    """Return whether an array of a file records a defect."""
    return any(
        fnmatch.fnmatch(path.stem, file) and fnmatch.fnmatch(array, name) for file, name in DEFECTS
    )


def folder() -> Path | None:
    """Return the folder of the vectors, or None when it is absent."""
    places = [ROOT.parent / "shared" / "golden_training"]
    if given := os.environ.get("AI8XC_GOLDEN"):
        places.insert(0, Path(given).parent / "golden_training")
    if given := os.environ.get("AI8XC_GOLDEN_TRAINING"):
        places.insert(0, Path(given))
    return next((place for place in places if place.is_dir()), None)


FOLDER = folder()
NEEDED = pytest.mark.skipif(
    FOLDER is None, reason="no training vectors: set AI8XC_GOLDEN_TRAINING to their folder"
)


def files(below: str = ".", pattern: str = "*.npz") -> list[Path]:
    """Return the vector files of a subfolder, sorted; none when the vectors are absent."""
    return sorted((FOLDER / below).glob(pattern)) if FOLDER else []


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the description and the arrays of a file."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    meta = arrays.pop("meta", None)
    return ({} if meta is None else json.loads(str(meta))), arrays
