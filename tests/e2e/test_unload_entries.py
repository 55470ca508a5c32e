"""`unload` of a description: what is copied, in which order, by both engines."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from ai8xc.backends.firmware.build import ARM
from ai8xc.cli.main import cli

NET = """\
arch: test
dataset: x
layers:
  - {processors: 0x3, out_offset: 0x2000, op: conv2d, kernel_size: 3x3, pad: 1, activate: none,
     output_processors: 0x3e0}
  - {processors: 0x3e0, out_offset: 0, output_processors: 0x70, op: conv2d, kernel_size: 1x1,
     pad: 0, activate: none, write_gap: 1}
unload:
"""
FIRST = "  - {processors: 0x3e0, channels: 5, dim: [4, 6], offset: 0x2000}\n"
"""All channels of layer 0, which is no output."""
PART = "  - {processors: 0x300, channels: 2, dim: [2, 6], offset: 0x2030}\n"
"""Its last two channels, from row 2 on."""
LAST = "  - {processors: 0x70, channels: 3, dim: 24, offset: 0, write_gap: 1, width: 8}\n"
"""The output, as a sequence."""
ENGINES = [
    "registers",
    pytest.param("firmware", marks=pytest.mark.skipif(ARM.missing, reason="no compiler for Arm")),
]
DEVICES = ("max78000", "max78002")


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(3)
    weights = {"w0": rng.integers(-40, 40, (5, 2, 3, 3)), "w1": rng.integers(-99, 99, (3, 5, 1, 1))}
    np.savez(tmp_path / "w.npz", **{name: w.astype(np.int8) for name, w in weights.items()})
    sample = rng.integers(-128, 128, (2, 4, 6))
    np.save(tmp_path / "x.npy", sample)
    return tmp_path, sample, weights


def layers(sample, weights):
    """What the two layers give: int8, rounded to nearest."""

    def conv(x, w):
        k = w.shape[2] // 2
        padded = np.pad(x, ((0, 0), (k, k), (k, k)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (1, 2))
        total = np.einsum("chwij,ocij->ohw", windows, w)
        return np.clip((total + 64) >> 7, -128, 127)

    first = conv(sample, weights["w0"])
    return first, conv(first, weights["w1"])


def run(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


def compiled(folder, text, device, *more):
    (folder / "net.yaml").write_text(text)
    given = ["--weights", folder / "w.npz", "--sample", folder / "x.npy", "--device", device]
    return run("compile", folder / "net.yaml", *given, "-o", folder / "out", *more)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", DEVICES)
def test_entries_are_copied_in_their_order(device, engine, files):
    folder, sample, weights = files
    text = NET + LAST + FIRST + PART
    done = compiled(folder, text, device, "--emit", "c,registers")
    assert done.exit_code == 0, done.output
    assert "unload" not in done.output.lower()
    result = run("run", folder / "out", "--engine", engine, "--output", folder / "y.npz")
    assert result.exit_code == 0, result.output
    first, last = layers(sample, weights)
    wanted = [last.reshape(3, 24, 1), first, first[3:, 2:]]
    with np.load(folder / "y.npz") as found:
        assert [np.array_equal(found[f"output_{i}"], w) for i, w in enumerate(wanted)] == [True] * 3
    with np.load(folder / "out" / "memory.npz") as memory:
        assert np.array_equal(memory["output"], last), "the known answer is that of the output"
        words = b"".join(w.astype(np.int8).tobytes() for w in wanted)
        assert memory["unload"].astype("<u4").tobytes() == words
    entries = json.loads((folder / "out" / "ai8xc.json").read_text())["network"]["unload"]
    assert [entry["shape"] for entry in entries] == [[3, 24, 1], [5, 4, 6], [2, 2, 6]]


@pytest.mark.parametrize("device", DEVICES)
def test_wide_outputs_can_be_copied_twice_and_in_parts(device, files):
    folder, *_ = files
    wide = NET.replace("pad: 0, activate: none, write_gap: 1", "pad: 0, output_width: 32")
    entry = "  - {{processors: {p}, channels: {c}, dim: [4, 6], offset: 0, width: 32}}\n"
    text = wide + entry.format(p="0x60", c=2) + entry.format(p="0x70", c=3)
    done = compiled(folder, text, device, "--emit", "c,registers")
    assert done.exit_code == 0, done.output
    result = run("run", folder / "out", "--output", folder / "y.npz")
    assert result.exit_code == 0, result.output
    with np.load(folder / "y.npz") as y, np.load(folder / "out" / "memory.npz") as memory:
        assert np.array_equal(y["output_1"], memory["output"])
        assert np.array_equal(y["output_0"], memory["output"][1:])


@pytest.mark.parametrize(
    ("entry", "code", "rule"),
    [
        (FIRST.replace("channels: 5", "channels: 6"), 1, "UNLOAD-KEYS"),
        (FIRST.replace("0x2000", "0x7ff0"), 1, "UNLOAD-MEM"),
        (FIRST.replace("0x2000", "0x4000"), 0, "UNLOAD-EMPTY"),
        (FIRST.replace("0x3e0", "0x3e00"), 0, "UNLOAD-EMPTY"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told(entry, code, rule, files):
    folder, *_ = files
    done = compiled(folder, NET + entry, "max78000")
    assert done.exit_code == code, done.output
    assert f"[{rule}]" in done.output


def test_a_new_placement_forgets_the_entries(files):
    folder, sample, weights = files
    done = compiled(folder, NET + FIRST, "max78000", "--replace")
    assert done.exit_code == 0, done.output
    assert "[AX141]" in done.output
    assert run("run", folder / "out", "--output", folder / "y.npy").exit_code == 0
    assert np.array_equal(np.load(folder / "y.npy"), layers(sample, weights)[1])


def test_the_entries_are_written_for_the_vendors_tool(files):
    folder, *_ = files
    assert compiled(folder, NET + LAST + PART, "max78002", "--emit", "yaml").exit_code == 0
    (written,) = (folder / "out").glob("*.yaml")
    assert written.read_text().count("write_gap: 1}") == 1
    assert "channels: 2, dim: [2, 6], offset: 0x2030, width: 8" in written.read_text()
