"""Output folders: the old one or the new one, never half of one, whatever happens."""

from pathlib import Path

import pytest

from ai8xc import files
from ai8xc.ir.diag import Rejected

OLD = {
    "ai8xc.json": b'{"outputs": {"cnn.c": "0", "gone.c": "0"}}',
    "cnn.c": b"old",
    "gone.c": b"old",
}
NEW = {"ai8xc.json": b"{}", "cnn.c": b"new", "sub/more.c": b"new"}


def content(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files.write_folder(tmp_path / "out", OLD)
    assert content(tmp_path / "out") == OLD
    return tmp_path / "out"


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def exchange(request, monkeypatch) -> bool:
    """With and without the system call that exchanges two names."""
    if not request.param:
        monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    return request.param


@pytest.mark.usefixtures("exchange")
def test_an_earlier_output_is_replaced(folder):
    files.write_folder(folder, NEW)
    assert content(folder) == NEW
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


@pytest.mark.usefixtures("exchange")
@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_while_writing(folder, monkeypatch, cause):
    written = Path.write_bytes

    def write(path: Path, data: bytes) -> int:
        if path.name == "more.c":
            raise cause
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises((Rejected, KeyboardInterrupt)):
        files.write_folder(folder, NEW)
    assert content(folder) == OLD
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_interrupted_between_two_renames(folder, monkeypatch):
    monkeypatch.setattr(files, "_exchanged", lambda one, other: False)
    rename = Path.rename

    def second_fails(path: Path, target: Path) -> Path:
        if target == folder and not path.name.endswith(".old"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(KeyboardInterrupt):
        files.write_folder(folder, NEW)
    assert content(folder) == OLD


@pytest.mark.usefixtures("exchange")
def test_a_file_or_a_link_in_the_way(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").write_bytes(b"text")
    for name in ("link", "file"):
        with pytest.raises(Rejected, match="IR052"):
            files.write_folder(tmp_path / name, NEW)
        files.write_folder(tmp_path / name, NEW, force=True)
        assert content(tmp_path / name) == NEW
    assert content(target) == {"kept": b"kept"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "target"]


def test_another_s_files_stay_without_force(folder):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(Rejected, match="IR052"):
        files.write_folder(folder, NEW)
    assert (folder / "notes.txt").read_text() == "mine"
    files.write_folder(folder, NEW, force=True)
    assert content(folder) == NEW
