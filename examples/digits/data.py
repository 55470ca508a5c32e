"""The 1,797 digits of scikit-learn (8 x 8 pixels) in one fixed split.

python examples/digits/data.py OUT_DIR   writes train.npz (256 images), test.npz and sample.npy
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

CLASSES = 10
TEST_PER_CLASS = 36
CALIBRATION = 256


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x_train (1437 x 1 x 8 x 8), y_train, x_test (360 x 1 x 8 x 8) and y_test.

    Images are float32 in steps of 1/128 from -1 to 127/128, classes int64 from 0 to 9.
    Each class gives 36 images to the test set; both sets are in random but fixed order.
    """
    pixels, y = load_digits(return_X_y=True)
    integers = np.minimum(pixels * 16 - 128, 127)  # the data set counts from 0 to 16
    x = (integers / 128).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.RandomState(0).permutation(len(y))  # a stream that numpy keeps for ever
    x, y = x[order], y[order].astype(np.int64)
    test = np.zeros(len(y), bool)
    for label in range(CLASSES):
        test[np.flatnonzero(y == label)[:TEST_PER_CLASS]] = True
    return x[~test], y[~test], x[test], y[test]


def write(folder: Path) -> None:
    """Write the calibration images, the test set and one image as integers to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    x_train, y_train, x_test, y_test = split()
    np.savez_compressed(folder / "train.npz", x=x_train[:CALIBRATION], y=y_train[:CALIBRATION])
    np.savez_compressed(folder / "test.npz", x=x_test, y=y_test)
    np.save(folder / "sample.npy", (x_test[0] * 128).astype(np.int64))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
