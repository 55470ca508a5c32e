"""`--emit yaml`: what is written for the vendor's tool, read back, gives the same program."""

import json
import re
import shutil
from pathlib import Path

import golden_corpus
import numpy as np
import pytest
from click.testing import CliRunner
from golden_differences import REFUSED, listed
from golden_options import Given
from golden_rules import NOT_REPRODUCED
from vendor_command import typed

from ai8xc.cli.main import cli
from ai8xc.frontend.checkpoint import read_checkpoint

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OURS = {
    "mnist": ["mnist/mnist.onnx", "--sample", "mnist/sample.npy"],
    "digits": ["digits/digits.onnx", "--sample", "digits/sample.npy"],
    "residual": ["vendor/residual.yaml", "--sample", "vendor/sample.npy",
                 "--weights", "vendor/weights.npz"],
}  # fmt: skip
EVERY = 40  # of the sampled run
EVERY_NETWORK = 5
NETWORKS = sorted((Path(__file__).parent / "networks").glob("*.ir"))


def run(*arguments):
    result = CliRunner().invoke(cli, ["compile", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def round_trip(arguments, device, work, options=None):
    """Compile with the vendor's files, then these; return both folders."""
    first, second = work / "first", work / "second"
    run(*arguments, "--device", device, "-o", first, "--emit", "yaml,registers")
    (description,) = first.glob("*.yaml")
    (sample,) = first.glob("sample_*.npy")
    weights = description.with_suffix(".pth.tar")
    if options is None:
        options = re.search(r"^# Options: (.*)$", description.read_text(), re.MULTILINE)[1].split()
    given = [description, "--sample", sample, "--device", device, *options]
    given += ["--weights", weights] if read_checkpoint(weights)["state_dict"] else []
    run(*given, "-o", second, "--emit", "registers")
    return first, second


def assert_same(first, second, but=()):
    """The same program and memories; `but` are arrays in another order of outputs."""
    assert (first / "registers.json").read_text() == (second / "registers.json").read_text()
    with np.load(first / "memory.npz") as a, np.load(second / "memory.npz") as b:
        assert a.files == b.files
        wrong = [name for name in a.files if not np.array_equal(a[name], b[name])]
        assert [name for name in wrong if not name.startswith(tuple(but))] == []


RUNS = (
    "",
    "--fifo",
    "--fast-fifo --riscv --no-fifo-wait",
    "--avg-pool-rounding --no-mexpress --write-zero-registers --stop-start",
    "--powerdown --zero-sram --mlator --boost 2.5 --timer 1 --ext-rdy",
)
LARGE_RUNS = ("--no-pipeline --no-pll", "--one-shot", "--link-layer", "--fifo --fifo-go")


@pytest.mark.parametrize(
    ("device", "options"),
    [(d, o) for d in ("max78000", "max78002") for o in RUNS]
    + [("max78002", o) for o in LARGE_RUNS],
)  # fmt: skip
def test_the_head_says_which_options_are_needed(device, options, tmp_path):
    arguments = [EXAMPLES / "digits/digits.onnx", *options.split()]
    first, second = round_trip(arguments, device, tmp_path)
    assert_same(first, second)
    (written,) = first.glob("*.yaml")
    head = written.read_text().splitlines()[1]
    assert sorted(head.split()[4:]) == sorted(options.split())


def test_a_wish_for_a_group_of_biases_is_kept(tmp_path):
    layers = "  - {processors: 0x30003, op: conv2d, pad: 1, out_offset: 0x1000, activate: none%s}\n"
    for wish in ("", ", bias_group: 1"):
        work = tmp_path / f"wish{bool(wish)}"
        work.mkdir()
        text = "arch: test\ndataset: x\nlayers:\n" + layers % wish
        (work / "net.yaml").write_text(text)
        weights = {"w0": np.ones((4, 4, 3, 3), np.int8), "b0": np.arange(4, dtype=np.int8)}
        np.savez(work / "w.npz", **weights)
        np.save(work / "x.npy", np.ones((4, 6, 6), np.int8))
        given = [work / "net.yaml", "--weights", work / "w.npz", "--sample", work / "x.npy"]
        first, second = round_trip(given, "max78000", work)
        assert_same(first, second)
        assert ("bias_group: 1" in next(first.glob("*.yaml")).read_text()) == bool(wish)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_networks_of_every_form(network, device, tmp_path, record_property):
    """What the compiler places, as a description: the same registers, or a reason why not."""
    first = tmp_path / "first"
    given = ["compile", str(network), "--device", device, "-o", str(first)]
    done = CliRunner().invoke(cli, [*given, "--emit", "yaml,registers"])
    if done.exit_code:
        plain = CliRunner().invoke(cli, [*given, "--emit", "registers"])
        said = "[YAML-SAY]" in done.output
        assert said == (plain.exit_code == 0), done.output
        if said:
            why = "; ".join(sorted(set(re.findall(r"vendor's tool: (.*)$", done.output, re.M))))
            record_property("described", (device.upper(), [], "refused", why))
        return
    shutil.rmtree(first)
    first, second = round_trip([network], device, tmp_path)
    (written,) = first.glob("*.yaml")
    text = written.read_text()
    moved = "unload:" in text
    assert_same(first, second, but=("output",) if moved else ())
    found = [title for title, sign in FEATURES.items() if sign in text]
    record_property("described", (device.upper(), found, "same", None))


FEATURES = {
    "streaming": "streaming: true",
    "FIFO": "--fifo",
    "read-ahead": "readahead: true",
    "in place": "--overlap-data",
    "joins": "in_sequences: [",
    "element-wise": "eltwise:",
    "write gaps": "write_gap:",
    "several outputs": "output: true",
    "other order": "unload:",
    "crops": "in_crop:",
    "folded input": "# Input: folded",
    "flattened": "flatten: true",
}
"""What a description can have, and how it is recognised."""


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@pytest.mark.parametrize("name", OURS)
def test_networks_placed_by_us(name, device, tmp_path):
    arguments = [EXAMPLES / word if "/" in word else word for word in OURS[name]]
    anew = ["--replace"] if name == "residual" else []
    assert_same(*round_trip([*arguments, *anew], device, tmp_path))


def test_torch_reads_the_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    arguments = [EXAMPLES / word if "/" in word else word for word in OURS["mnist"]]
    first, _ = round_trip(arguments, "max78000", tmp_path)
    (path,) = first.glob("*.pth.tar")
    theirs, ours = torch.load(path, weights_only=True), read_checkpoint(path)
    assert theirs["arch"] == ours["arch"] == "mnist"
    assert list(theirs["state_dict"]) == list(ours["state_dict"])
    for name, tensor in theirs["state_dict"].items():
        assert np.array_equal(tensor.numpy(), ours["state_dict"][name])


def pytest_generate_tests(metafunc):
    if "network" in metafunc.fixturenames:
        every = 1 if metafunc.config.getoption("--golden-all") else EVERY_NETWORK
        paths = [path for i, path in enumerate(NETWORKS) if i % every == 0]
        metafunc.parametrize("network", paths, ids=[path.stem for path in paths])
    golden_corpus.give_entries(metafunc, lambda: golden_corpus.every(EVERY))


def test_networks_placed_by_hand(entry, tmp_path):
    case = json.loads((entry.path / "case.json").read_text())
    given = Given(entry.path, case)
    if listed(entry.name, REFUSED) or listed(entry.name, NOT_REPRODUCED):
        pytest.skip("refused, with a reason")
    if {"--weight-start", "--no-deduplicate-weights", "--start-layer"} & set(given.flags):
        pytest.skip("options that no description holds")
    np.save(tmp_path / "sample.npy", given.sample)
    arguments = [given.yaml, "--weights", given.weights, "--sample", tmp_path / "sample.npy"]
    arguments += ["--bias", given.bias] if given.bias else []
    skip = ",".join(given.options.skip.patterns)
    arguments += ["--skip-weights", skip] if skip else []
    gone = ("--stop-after", "--no-bias", "--ignore-activation", "--output-width", "--input-offset")
    flags = typed(given.flags)
    kept = [] if set(flags) & set(gone) else flags
    first, second = round_trip([*arguments, *flags], case["device"], tmp_path, kept)
    assert_same(first, second)
