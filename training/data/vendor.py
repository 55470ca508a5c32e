"""Data sets in the vendor's descriptor protocol. Source: training facts, section 2.7."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ai8xc.training.data.dataset import Boxes, DataSet, Part, Split, Task
from ai8xc.training.rules import DATA_SHAPE, refused

Descriptor = Mapping[str, Any]


def from_descriptor(descriptor: Descriptor) -> DataSet:
    """Return the data set of an entry of the vendor's `datasets` list.

    Its loader does all transforms itself, in float mode. A class count is the length of `output`;
    a plain string there is one label, not one label for each character.
    """
    name = str(descriptor.get("name", "?"))
    missing = [key for key in ("name", "input", "output", "loader") if key not in descriptor]
    if missing:
        raise refused(DATA_SHAPE, name=name, why=f"the descriptor has no `{missing[0]}`")
    output = descriptor["output"]
    labels = (output,) if isinstance(output, str) else tuple(map(str, output))
    return DataSet(
        name,
        tuple(int(size) for size in descriptor["input"]),
        labels,
        _loader(name, descriptor["loader"]),
        task=_task(descriptor, labels),
        transforms=(),
        weight=_weight(descriptor.get("weight")),
    )


def _task(descriptor: Descriptor, labels: Sequence[str]) -> Task:
    if descriptor.get("collate") is not None:
        return "detection"
    return "regression" if descriptor.get("regression") or len(labels) == 1 else "classification"


def _weight(given: Any) -> tuple[float, ...] | None:
    return None if given is None else tuple(float(value) for value in given)


def _loader(name: str, loader: Callable[..., tuple[Any, Any]]) -> Callable[[Path, Part], Split]:
    def load(root: Path, part: Part) -> Split:
        options = Namespace(act_mode_8bit=False, truncate_testset=False, dr=None, data=str(root))
        train, test = loader(
            (str(root), options), load_train=part == "train", load_test=part == "test"
        )
        found = train if part == "train" else test
        if found is None or not len(found):
            raise refused(DATA_SHAPE, name=name, why=f"its loader gives nothing for {part}")
        x, y = zip(*(found[i] for i in range(len(found))), strict=True)
        return Split(np.stack([np.asarray(sample, np.float32) for sample in x]), _targets(y))

    return load


def _targets(found: Sequence[Any]) -> Any:
    """Return class numbers and values as an array, boxes with classes as objects."""
    if isinstance(found[0], tuple | list) and len(found[0]) == 2:
        return [Boxes(np.asarray(boxes), np.asarray(labels)) for boxes, labels in found]
    return np.stack([np.asarray(target) for target in found])
