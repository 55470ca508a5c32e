"""Data sets: what they hold, and samples with targets as a training run takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from ai8xc.ir.diag import Rejected
from ai8xc.ir.types import Array
from ai8xc.training.data.transforms import AnyTransform, Normalize, apply_all
from ai8xc.training.loading import failure
from ai8xc.training.rules import DATA_RANGE, DATA_SHAPE, LABEL_RANGE, refused

Part = Literal["train", "test"]
PARTS: Final[tuple[Part, ...]] = ("train", "test")
Task = Literal["classification", "regression", "segmentation", "detection", "autoencoder"]

LARGEST = 127 / 128
"""Largest value that the device reads; the smallest is -1."""


@dataclass(frozen=True)
class Boxes:
    """The objects of one image: corners (n, 4) relative to the image, classes (n,) from 1."""

    boxes: Array
    labels: Array


Targets = Array | Sequence[Boxes]
"""Class numbers (N,), class numbers of pixels (N, H, W), real values, or objects."""


@dataclass(frozen=True)
class Split:
    """Samples N x C x ... and their targets; before the transforms, values from 0 to 1."""

    x: Array
    y: Targets

    def __len__(self) -> int:
        return len(self.x)

    def picked(self, indices: Array) -> Split:
        """Return some of the samples."""
        y = self.y[indices] if isinstance(self.y, np.ndarray) else [self.y[i] for i in indices]
        return Split(self.x[indices], y)


Loader = Callable[[Path, Part], Split]
"""Returns one part of a data set from the folder that it is in."""


@dataclass(frozen=True)
class DataSet:
    """A data set: where it comes from, what its targets mean, how its samples become inputs.

    `shape` is that of a sample after `transforms`. `augment` are transforms of training samples,
    in front of the others; `labels` name the classes (detection: without background); `weight`
    is that of each class in the loss.
    """

    name: str
    shape: tuple[int, ...]
    labels: tuple[str, ...]
    load: Loader
    task: Task = "classification"
    transforms: tuple[AnyTransform, ...] = (Normalize(),)
    augment: tuple[AnyTransform, ...] = ()
    weight: tuple[float, ...] | None = None

    @property
    def outputs(self) -> int:
        """Number of classes that a network has to tell apart; detection adds background."""
        return len(self.labels) + (self.task == "detection")


@dataclass(frozen=True)
class Data:
    """The samples of a run, checked and transformed: training, validation and test."""

    info: DataSet
    train: Samples
    validation: Samples
    test: Samples


class Samples(TorchDataset[tuple[torch.Tensor, object]]):
    """Samples as a loader of torch takes them.

    Transforms without random numbers are applied once. `epoch` and the number of the sample seed
    the others, so that a resumed run draws the same numbers. `names` are those of the samples in
    messages.
    """

    def __init__(
        self,
        info: DataSet,
        split: Split,
        names: Sequence[str],
        *,
        augment: bool = False,
        seed: int = 0,
    ) -> None:
        steps = (*(info.augment if augment else ()), *info.transforms)
        first = next((i for i, step in enumerate(steps) if step.random), len(steps))
        fixed, self.transforms = steps[:first], steps[first:]
        nothing = np.random.default_rng(0)
        rows = [apply_all(fixed, row.astype(np.float32), nothing) for row in split.x]
        self.info, self.seed, self.epoch, self.names = info, seed, 0, names
        self.x = np.stack(rows) if rows else np.zeros((0, *info.shape), np.float32)
        self.y = split.y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, object]:
        """Return one sample and its target."""
        x = self.x[index]
        if self.transforms:
            x = apply_all(self.transforms, x, np.random.default_rng([self.seed, self.epoch, index]))
        return torch.from_numpy(np.ascontiguousarray(x, np.float32)), self.target(index)

    def target(self, index: int) -> object:
        """Return a target as a tensor, or as tensors of boxes and classes."""
        found = self.y[index]
        if isinstance(found, Boxes):
            return (
                torch.from_numpy(np.asarray(found.boxes, np.float32)).reshape(-1, 4),
                torch.from_numpy(np.asarray(found.labels, np.int64)),
            )
        kind = np.int64 if np.asarray(found).dtype.kind in "iu" else np.float32
        return torch.from_numpy(np.asarray(found, kind).copy())


def prepared(
    info: DataSet, root: Path, *, validation: float = 0.1, seed: int = 0, augment: bool = True
) -> Data:
    """Return the data of a run; `validation` is the share of the training samples kept back.

    Validation samples are never augmented. Raises `Rejected` for data that no network for these
    devices can take, naming sample and value.
    """
    parts = {part: _checked(info, _loaded(info, root, part), part) for part in PARTS}
    names = {part: [_named(i, part) for i in range(len(parts[part]))] for part in PARTS}
    order = np.random.default_rng(seed).permutation(len(parts["train"]))
    count = max(1, int(validation * len(order))) if validation else 0
    if count == len(order):
        why = "there is no training sample besides those for validation"
        raise refused(DATA_SHAPE, name=info.name, why=why)

    def picked(indices: Array, **options: Any) -> Samples:
        own = [names["train"][i] for i in indices]
        return Samples(info, parts["train"].picked(indices), own, **options)

    data = Data(
        info,
        picked(np.sort(order[count:]), augment=augment, seed=seed),
        picked(np.sort(order[:count])),
        Samples(info, parts["test"], names["test"]),
    )
    for samples in (data.train, data.validation, data.test):
        check_range(samples)
    return data


def _named(index: int, part: Part) -> str:
    return f"{index} ({part})"


def _loaded(info: DataSet, root: Path, part: Part) -> Split:
    """Return a part of a data set; raises `Rejected` for whatever the loading code raises."""
    try:
        return info.load(root, part)
    except (Rejected, ModuleNotFoundError):
        raise
    except Exception as error:
        why = f"its part `{part}` cannot be loaded: {failure(error)}"
        raise refused(DATA_SHAPE, name=info.name, why=why) from error


def _checked(info: DataSet, split: Split, part: Part) -> Split:
    """Return a split whose targets fit the samples and the classes."""
    if len(split.x) != len(split.y) or not len(split.x):
        why = f"{len(split.x)} samples and {len(split.y)} targets"
        raise refused(DATA_SHAPE, name=info.name, why=why)
    if info.task in ("classification", "segmentation"):
        labels = np.asarray(split.y)
        if labels.dtype.kind not in "iu":
            why = f"its labels are {labels.dtype}, not integers"
            raise refused(DATA_SHAPE, name=info.name, why=why)
        wrong = np.argwhere((labels < 0) | (labels >= len(info.labels)))
        if len(wrong):
            place = _named(int(wrong[0][0]), part)
            _refuse_label(info, place, int(labels[tuple(wrong[0])]))
    if info.task == "detection":
        for index, found in enumerate(split.y):
            labels = np.asarray(found.labels)
            wrong = labels[(labels < 1) | (labels > len(info.labels))]
            if len(wrong):
                _refuse_label(info, _named(index, part), int(wrong[0]))
    if info.task == "autoencoder":
        return replace(split, y=np.zeros(len(split.x), np.int64))
    return split


def _refuse_label(info: DataSet, index: str, value: int) -> None:
    classes = len(info.labels)
    raise refused(LABEL_RANGE, name=info.name, index=index, value=value, classes=classes)


def check_range(samples: Samples) -> None:
    """Raise `Rejected` for samples that the device cannot read; augmented ones: the first."""
    info = samples.info
    rows = samples.x
    if samples.transforms and len(samples):
        rows = np.stack([samples[0][0].numpy()])
    if len(rows) and rows.shape[1:] != info.shape:
        why = f"samples have shape {rows.shape[1:]}, {info.shape} is declared"
        raise refused(DATA_SHAPE, name=info.name, why=why)
    bad = ~((rows >= -1) & (rows <= LARGEST))
    if bad.any():
        where = np.argwhere(bad)[0]
        value, index = float(rows[tuple(where)]), samples.names[int(where[0])]
        raise refused(DATA_RANGE, name=info.name, index=index, value=f"{value:g}")


def save_sample(path: Path, x: Array) -> None:
    """Write one input of a network as the integers that the device reads, int64 `.npy`."""
    from ai8xc.training.data.transforms import as_integers

    with path.open("wb") as file:
        np.save(file, as_integers(x), allow_pickle=False)


def collate(batch: list[tuple[torch.Tensor, object]]) -> tuple[torch.Tensor, object]:
    """Return a batch of samples; targets of different sizes stay lists."""
    x = torch.stack([sample for sample, _ in batch])
    targets = [target for _, target in batch]
    if all(isinstance(target, torch.Tensor) for target in targets):
        return x, torch.stack([t for t in targets if isinstance(t, torch.Tensor)])
    return x, [list(column) for column in zip(*targets, strict=True)]
