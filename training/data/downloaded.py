"""Data sets that must be downloaded: readers of their files. None of them unpickles anything."""

from __future__ import annotations

import gzip
import struct
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from ai8xc.ir.types import Array
from ai8xc.training.data.dataset import DataSet, Loader, Part, Split
from ai8xc.training.data.transforms import Fold, Normalize, RandomCrop, RandomFlip, RandomShift
from ai8xc.training.rules import DATA_ABSENT, DATA_SHAPE, refused

T = TypeVar("T")

_IDX_MAGIC: Final = {1: 2049, 3: 2051}
"""First word of an IDX file with labels (one axis) and with images (three)."""

KWS20: Final = (
    *("up", "down", "left", "right", "stop", "go", "yes", "no", "on", "off"),
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"),
    "unknown",
)
_RECORDING: Final = 16384
"""Values of a recording: 1.024 s at 16 kHz, as 128 chunks of 128."""


def read_idx(path: Path) -> Array:
    """Return the array in an IDX file, compressed or not."""
    packed = path.with_name(path.name + ".gz")
    if not path.is_file() and packed.is_file():
        with gzip.open(packed) as file:
            content = file.read()
    else:
        content = path.read_bytes()
    axes = content[3] if len(content) > 3 else 0
    head = 4 + 4 * axes
    if axes not in _IDX_MAGIC or len(content) < head:
        raise ValueError(f"{path.name} is no IDX file")
    magic, *sizes = struct.unpack(f">{axes + 1}I", content[:head])
    if magic != _IDX_MAGIC[axes] or len(content) - head != int(np.prod(sizes)):
        raise ValueError(f"{path.name} is damaged")
    return np.frombuffer(content, np.uint8, offset=head).reshape(sizes)


def idx_images(name: str) -> Loader:
    """Return the loader of MNIST and what is made like it."""

    def load(root: Path, part: Part) -> Split:
        stem = {"train": "train", "test": "t10k"}[part]
        files = [root / name / f"{stem}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        images, labels = _read(name, root, lambda: [read_idx(path) for path in files])
        return Split(images[:, None].astype(np.float32) / 255, labels.astype(np.int64))

    return load


def cifar_images(name: str, files: dict[Part, Sequence[str]], label_bytes: int) -> Loader:
    """Return the loader of CIFAR in its binary version: label bytes, then 3 x 32 x 32 values."""

    def load(root: Path, part: Part) -> Split:
        row = label_bytes + 3 * 32 * 32
        paths = [root / name / file for file in files[part]]
        found = _read(name, root, lambda: b"".join(path.read_bytes() for path in paths))
        if not found or len(found) % row:
            raise refused(DATA_SHAPE, name=name, why="the files are not as long as they should be")
        rows = np.frombuffer(found, np.uint8).reshape(-1, row)
        images = rows[:, label_bytes:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
        return Split(images, rows[:, label_bytes - 1].astype(np.int64))

    return load


def image_folders(name: str, labels: Sequence[str], size: tuple[int, int]) -> Loader:
    """Return the loader of `root/name/part/label/*.jpg` (or .png), resized to one size."""

    def load(root: Path, part: Part) -> Split:
        images, numbers = [], []
        for number, label in enumerate(labels):
            folder = root / name / part / label
            for path in _files(name, folder, (".jpg", ".jpeg", ".png")):
                images.append(read_image(path, size))
                numbers.append(number)
        return Split(np.stack(images), np.array(numbers, np.int64))

    return load


def masked_images(name: str, size: tuple[int, int]) -> Loader:
    """Return the loader of `root/name/part/images/*` and `masks/*`, whose pixels are classes."""

    def load(root: Path, part: Part) -> Split:
        base = root / name / part
        pictures = _files(name, base / "images", (".jpg", ".jpeg", ".png"))
        masks = _files(name, base / "masks", (".png",))
        if [p.stem for p in pictures] != [p.stem for p in masks]:
            raise refused(DATA_SHAPE, name=name, why="images and masks have different names")
        x = np.stack([read_image(path, size) for path in pictures])
        return Split(x, np.stack([read_mask(path, size) for path in masks]))

    return load


def recordings(name: str, labels: Sequence[str]) -> Loader:
    """Return the loader of `root/name/part/word/*.wav`; other words are the last label.

    Each recording of 16 kHz becomes 128 x 128: element [c, t] is value 128 * t + c.
    """

    def load(root: Path, part: Part) -> Split:
        base = root / name / part
        if not base.is_dir():
            raise refused(DATA_ABSENT, name=name, path=base, why="there is no such folder")
        x, y = [], []
        for folder in sorted(path for path in base.iterdir() if path.is_dir()):
            number = labels.index(folder.name) if folder.name in labels else len(labels) - 1
            for path in _files(name, folder, (".wav",)):
                x.append(as_chunks(read_wave(path)))
                y.append(number)
        return Split(np.stack(x), np.array(y, np.int64))

    return load


def read_image(path: Path, size: tuple[int, int]) -> Array:
    """Return an image as 3 x H x W, 0 to 1."""
    from PIL import Image

    with Image.open(path) as image:
        resized = image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32).transpose(2, 0, 1) / 255


def read_mask(path: Path, size: tuple[int, int]) -> Array:
    """Return an image of class numbers, H x W."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST)).astype(np.int64)


def read_wave(path: Path) -> Array:
    """Return the first channel of a recording, from -1 to 1."""
    with wave.open(str(path)) as file:
        if file.getsampwidth() != 2:
            raise refused(DATA_SHAPE, path.name, name=path.name, why="it has not 16 bits a value")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return values[:: file.getnchannels()].astype(np.float32) / 32768


def as_chunks(recording: Array) -> Array:
    """Return a recording as 128 chunks of 128 values, one chunk for each step of time, 0 to 1.

    Values become 8 bits as the vendor's data have them: `round((x + 1) * 128) / 256`.
    """
    padded = np.zeros(_RECORDING, np.float32)
    padded[: min(len(recording), _RECORDING)] = recording[:_RECORDING]
    steps = np.clip(np.rint((padded + 1) * 128), 0, 255)
    return (steps / 256).reshape(128, 128).T.astype(np.float32)


def _files(name: str, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = [p for p in sorted(folder.glob("*")) if p.suffix.lower() in suffixes]
    if not found:
        why = f"no {' or '.join(suffixes)} files there"
        raise refused(DATA_ABSENT, name=name, path=folder, why=why)
    return found


def _read(name: str, root: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError as error:
        missing = error.filename or root / name
        raise refused(DATA_ABSENT, name=name, path=missing, why=str(error.strerror)) from error
    except ValueError as error:
        raise refused(DATA_SHAPE, name=name, why=str(error)) from error


_CIFAR_AUGMENT: Final = (RandomCrop(padding=4), RandomFlip())
_CIFAR10: Final = (
    *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_FASHION: Final = (
    *("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
)


def mnist() -> DataSet:
    """MNIST: `mnist/train-images-idx3-ubyte` and three more files, perhaps with `.gz`."""
    labels = tuple("0123456789")
    augment = (RandomCrop(padding=4),)
    return DataSet("mnist", (1, 28, 28), labels, idx_images("mnist"), augment=augment)


def fashionmnist() -> DataSet:
    """Fashion-MNIST: the files of MNIST in `fashionmnist`."""
    load = idx_images("fashionmnist")
    return DataSet("fashionmnist", (1, 28, 28), _FASHION, load, augment=_CIFAR_AUGMENT)


def cifar10() -> DataSet:
    """CIFAR-10, binary version: `cifar10/data_batch_1.bin` to 5 and `test_batch.bin`."""
    train = [f"data_batch_{i}.bin" for i in range(1, 6)]
    load = cifar_images("cifar10", {"train": train, "test": ["test_batch.bin"]}, 1)
    return DataSet("cifar10", (3, 32, 32), _CIFAR10, load, augment=_CIFAR_AUGMENT)


def cifar100() -> DataSet:
    """CIFAR-100, binary version: `cifar100/train.bin` and `test.bin`; fine labels."""
    load = cifar_images("cifar100", {"train": ["train.bin"], "test": ["test.bin"]}, 2)
    labels = tuple(str(i) for i in range(100))
    return DataSet("cifar100", (3, 32, 32), labels, load, augment=_CIFAR_AUGMENT)


def cats_vs_dogs() -> DataSet:
    """Cats and dogs: `cats_vs_dogs/train/cats/*.jpg` and so on."""
    labels = ("cats", "dogs")
    load = image_folders("cats_vs_dogs", labels, (128, 128))
    return DataSet("cats_vs_dogs", (3, 128, 128), labels, load, augment=(RandomFlip(),))


def camvid_s80_c3() -> DataSet:
    """CamVid in tiles of 80 x 80 with three classes and the rest."""
    labels = ("Building", "Sky", "Tree", "None")
    load = masked_images("camvid", (80, 80))
    weight = (1.0, 1.0, 1.0, 0.14)
    return DataSet("camvid_s80_c3", (3, 80, 80), labels, load, task="segmentation", weight=weight)


def camvid_s352_c3() -> DataSet:
    """CamVid in tiles of 352 x 352, folded by 4."""
    labels = ("Building", "Sky", "Tree", "None")
    load = masked_images("camvid", (352, 352))
    folded = (Normalize(), Fold(ratio=4))
    return DataSet(
        "camvid_s352_c3", (48, 88, 88), labels, load, task="segmentation", transforms=folded
    )


def kws20() -> DataSet:
    """Speech commands: `kws20/train/word/*.wav`, 16 kHz."""
    weight = (*(1.0 for _ in KWS20[:-1]), 0.07)
    augment = (RandomShift(steps=12),)
    load = recordings("kws20", KWS20)
    return DataSet("kws20", (128, 128), KWS20, load, augment=augment, weight=weight)
