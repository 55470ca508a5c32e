"""Readers take or refuse every seed, every former finding, and many damaged seeds."""

from pathlib import Path
from random import Random

import pytest

from fuzz.readers import CORPUS, READERS, read

SEEDS = [path for reader in READERS for path in sorted((CORPUS / reader).iterdir())]
MUTATIONS = 60


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_seed_is_taken_or_refused(path: Path, tmp_path: Path) -> None:
    read(path.parent.name, path.read_bytes(), tmp_path)


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_damaged_seed_is_taken_or_refused(path: Path, tmp_path: Path) -> None:
    random = Random(f"{path.parent.name}/{path.name}")
    for _ in range(MUTATIONS):
        read(path.parent.name, damaged(path.read_bytes(), random), tmp_path)


def damaged(content: bytes, random: Random) -> bytes:
    """Bytes changed, taken out, doubled, or the end cut off."""
    data = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data)) if data else 0
        size = random.choice([1, 1, 2, 4, 8, 30])
        match random.randrange(5):
            case 0:
                data[at : at + size] = random.randbytes(size)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size] * random.choice([1, 2, 50])
            case 3 if data:
                data[at] ^= 1 << random.randrange(8)
            case _:
                data[at : at + 1] = random.choice([b"\xff", b"\x00", b"\x80", b"9999999999", b"-1"])
    return bytes(data[: random.choice([len(data), len(data), random.randint(0, len(data))])])
