"""Data sets for training: declarative transforms, sets that packages ship, sets to download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

from ai8xc.training.data.dataset import (
    Boxes,
    Data,
    DataSet,
    Samples,
    Split,
    collate,
    prepared,
    save_sample,
)
from ai8xc.training.data.vendor import from_descriptor
from ai8xc.training.loading import resolved
from ai8xc.training.rules import UNKNOWN_NAME, refused

__all__ = [
    "DATASETS",
    "Boxes",
    "Data",
    "DataSet",
    "Samples",
    "Split",
    "collate",
    "dataset",
    "from_descriptor",
    "prepared",
    "save_sample",
]

_SHIPPED: Final = ("digits", "digits_autoencoder", "mnist5k", "watch")
_DOWNLOADED: Final = (
    *("camvid_s352_c3", "camvid_s80_c3", "cats_vs_dogs", "cifar10", "cifar100"),
    *("fashionmnist", "kws20", "mnist"),
)

DATASETS: Final[Mapping[str, str]] = {
    **{name: f"ai8xc.training.data.shipped:{name}" for name in _SHIPPED},
    **{name: f"ai8xc.training.data.downloaded:{name}" for name in _DOWNLOADED},
}
"""The function that makes each data set, by name."""


def dataset(name: str, folder: Path = Path()) -> DataSet:
    """Return a data set by its name, or from `file.py:NAME`.

    That is a `DataSet`, a function that returns one, an entry of the vendor's `datasets` list, or
    the list, where it has one entry.
    """
    found = resolved("data set", name, DATASETS, folder)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, Mapping):
        return from_descriptor(found)
    made = cast("Callable[[], object]", found)() if callable(found) else found
    if not isinstance(made, DataSet):
        raise refused(UNKNOWN_NAME, kind="data set", name=name)
    return made
