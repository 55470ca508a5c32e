"""`--emit yaml`: what is written for the vendor's tool, read back, gives the same program."""

import json
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


def run(*arguments):
    result = CliRunner().invoke(cli, ["compile", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


def round_trip(arguments, device, work, options=()):
    """Compile with the vendor's files, then these; return both folders."""
    first, second = work / "first", work / "second"
    run(*arguments, "--device", device, "-o", first, "--emit", "yaml,registers")
    (description,) = first.glob("*.yaml")
    (sample,) = first.glob("sample_*.npy")
    weights = description.with_suffix(".pth.tar")
    given = [description, "--sample", sample, "--device", device, *options]
    given += ["--weights", weights] if read_checkpoint(weights)["state_dict"] else []
    run(*given, "-o", second, "--emit", "registers")
    return first, second


def assert_same(first, second):
    assert (first / "registers.json").read_text() == (second / "registers.json").read_text()
    with np.load(first / "memory.npz") as a, np.load(second / "memory.npz") as b:
        assert a.files == b.files
        assert [name for name in a.files if not np.array_equal(a[name], b[name])] == []


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
    golden_corpus.give_entries(metafunc, lambda: golden_corpus.every(EVERY))


def test_networks_placed_by_hand(entry, tmp_path):
    case = json.loads((entry.path / "case.json").read_text())
    given = Given(entry.path, case)
    if listed(entry.name, REFUSED) or listed(entry.name, NOT_REPRODUCED):
        pytest.skip("refused, with a reason")
    if {"--weight-start", "--no-deduplicate-weights", "--start-layer"} & set(given.flags):
        pytest.skip("options that no description holds")
    if any(layer["bias_groups"] for layer in case["layers"]):
        pytest.skip("wishes for biases are not written")
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
