"""The vendor's training vectors, where they are installed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


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
