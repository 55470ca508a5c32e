"""The checkpoint reader: tensors come out, nothing that a file contains is run."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ai8xc.frontend.checkpoint import Opaque, read_checkpoint
from ai8xc.frontend.vendor_parameters import read_parameters
from ai8xc.ir.diag import Rejected

MAGIC = 119547037146038801333356


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def program(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def tensor(
    count: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    offset: int = 0,
    kind: str = "FloatStorage",
    view: bytes = b"",
) -> bytes:
    storage = b"(" + text("storage") + name("torch", kind) + text("0") + text("cpu")
    storage += number(count) + view + b"tQ"
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return (
        rebuild
        + b"("
        + storage
        + number(offset)
        + numbers(shape)
        + numbers(strides)
        + b"I00\n"
        + b"}"
        + b"tR"
    )


def archive(path: Path, pickled: bytes, storage: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", pickled)
        file.writestr("net/data/0", storage)
    return path


def legacy(path: Path, pickled: bytes, storage: bytes, count: int) -> Path:
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, {"little_endian": True}))
    keys = pickle.dumps(["0"], 2)
    path.write_bytes(head + pickled + keys + struct.pack("<q", count) + storage)
    return path


SIX = np.arange(6, dtype="<f4")


def test_zip_tensor_with_strides(tmp_path: Path) -> None:
    pickled = program(mapping(state_dict=mapping(w=tensor(6, (3, 2), (1, 3)))))
    content = read_checkpoint(archive(tmp_path / "a.pth.tar", pickled, SIX.tobytes()))
    np.testing.assert_array_equal(content["state_dict"]["w"], SIX.reshape(2, 3).T)


def test_legacy_tensor(tmp_path: Path) -> None:
    pickled = program(mapping(w=tensor(6, (2, 2), (3, 1), offset=1, view=b"N")))
    content = read_checkpoint(legacy(tmp_path / "a.pth.tar", pickled, SIX.tobytes(), 6))
    np.testing.assert_array_equal(content["w"], [[1, 2], [4, 5]])


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("LongStorage", "<i8"),
        ("CharStorage", "<i1"),
        ("DoubleStorage", "<f8"),
        ("BoolStorage", "?"),
    ],
)
def test_storage_kinds(tmp_path: Path, kind: str, dtype: str) -> None:
    raw = np.array([0, 1, 1], dtype)
    pickled = program(mapping(w=tensor(3, (3,), (1,), kind=kind)))
    content = read_checkpoint(archive(tmp_path / "a.pth.tar", pickled, raw.tobytes()))
    np.testing.assert_array_equal(content["w"], raw)


@pytest.mark.parametrize(
    ("module", "function"),
    [("os", "system"), ("posix", "system"), ("builtins", "exec"), ("builtins", "getattr")],
)
def test_nothing_is_run(tmp_path: Path, module: str, function: str) -> None:
    marker = tmp_path / "ran"
    call = name(module, function) + b"(" + text(f"touch {marker}") + b"tR"
    content = read_checkpoint(archive(tmp_path / "a.pth.tar", program(mapping(epoch=call))))
    assert not marker.exists()
    assert isinstance(content["epoch"], Opaque)
    assert content["epoch"].origin == f"{module}.{function}"


def test_an_entry_that_is_a_call_is_told(tmp_path: Path) -> None:
    call = name("os", "system") + b"(" + text("true") + b"tR"
    state = mapping(**{"fc.op.weight": call})
    path = archive(tmp_path / "a.pth.tar", program(mapping(epoch=number(1), state_dict=state)))
    (finding,) = (f for f in read_parameters(path).findings if f.severity == "error")
    assert finding.rule.id == "CK011"
    assert "`fc.op.weight` is no tensor but asks for `os.system`" in finding.message


def test_state_of_an_unknown_object_is_not_applied(tmp_path: Path) -> None:
    made = name("ai8xc.frontend.checkpoint", "Opaque") + b")\x81" + mapping(x=number(1)) + b"b"
    content = read_checkpoint(archive(tmp_path / "a.pth.tar", program(mapping(extras=made))))
    assert not hasattr(content["extras"], "x")


def test_shared_containers_are_visited_once(tmp_path: Path) -> None:
    nested = b"]q\x00"
    for level in range(60):
        nested += (
            b"0](" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
        )
    pickled = program(b"}(" + text("bomb") + nested + b"u")
    assert "bomb" in read_checkpoint(archive(tmp_path / "a.pth.tar", pickled))


DAMAGED = {
    "outside its storage": program(mapping(w=tensor(6, (3, 3), (3, 1)))),
    "negative stride": program(mapping(w=tensor(6, (2,), (-1,)))),
    "huge storage": program(mapping(w=tensor(2_000_000_000, (1,), (1,)))),
    "truncated": program(mapping(w=tensor(6, (6,), (1,))))[:40],
    "no mapping": program(b"]"),
    "empty": b"",
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("pickled", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_files_are_refused(tmp_path: Path, pickled: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        read_checkpoint(archive(tmp_path / "bad.pth.tar", pickled, SIX.tobytes()))
    assert caught.value.unusable
    assert [found.rule.id for found in caught.value.diagnostics] == ["CK001"]
    assert "bad.pth.tar" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", bytes(1000), b"\x80\x02."])
def test_files_of_another_kind_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pth.tar"
    path.write_bytes(content)
    with pytest.raises(Rejected):
        read_checkpoint(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(Rejected):
            read_checkpoint(path)
