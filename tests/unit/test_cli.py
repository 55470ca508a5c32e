"""The commands: exit codes, files, bad input; never a traceback for a user's mistake."""

import io
import json
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ai8xc.__main__ import main
from ai8xc.cli.headings import HEADINGS
from ai8xc.cli.main import COMMANDS, cli
from ai8xc.files import MAX_ARRAY_BYTES, pack_arrays, read_arrays
from ai8xc.ir.core import Data
from ai8xc.ir.diag import Rejected

NET = """nn.graph @net(%x: tensor<1x2x4x4xf32>) {
  %w = nn.constant() {value = file<"w">} : tensor<3x2x3x3xf32>
  %a = nn.conv(%x, %w) {pads = (1, 1, 1, 1)} : tensor<1x3x4x4xf32> loc("/conv/Conv")
  %r = nn.relu(%a) : tensor<1x3x4x4xf32> loc("/conv/Relu")
  return %r
}
"""
BAD = NET.replace("nn.relu", "nn.sigmoid").replace(
    "  return %r",
    '  %t = nn.tanh(%r) : tensor<1x3x4x4xf32> loc("/t")\n'
    "  %u = nn.relu(%t) : tensor<1x3x4x4xf32>\n"
    "  return %u",
)
"""Two functions without an integer form."""

CRASH = """
from dataclasses import dataclass, replace
from typing import ClassVar
from ai8xc.dialects import nn
from ai8xc.ir.passes import Pass, register
from ai8xc.ir.rewrite import rewrite

def magnitude(op, uses):
    if isinstance(op, nn.Conv) and op.activation == "none":
        return replace(op, activation="abs")

@register
@dataclass(frozen=True)
class Crash(Pass):
    name: ClassVar[str] = "crash"
    at: int = 0

    def run(self, graph, ctx):
        return rewrite(graph, [magnitude]) if self.at == 0 else [][self.at]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with net.ir and net.npz in it."""
    monkeypatch.chdir(tmp_path)
    Path("net.ir").write_text(NET)
    weights = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    np.savez("net.npz", w=weights)
    return tmp_path


def ai8xc(*arguments: str, text: str | None = None) -> Result:
    result = CliRunner().invoke(cli, arguments, input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert "Traceback" not in result.output
    return result


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_complete(command: str) -> None:
    result = ai8xc(*command.split(), "--help")
    assert result.exit_code == 0
    found = cli if not command else cli.get_command(click.Context(cli), command)
    assert found is not None
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


@pytest.mark.parametrize("command", ["compile", "check", "opt"])
def test_many_options_stand_under_headings(command: str) -> None:
    text = ai8xc(command, "--help").stdout
    sections = re.findall(r"^([A-Z][^\n:]*):\n((?:  .*\n)+)", text, re.MULTILINE)
    options = {title: len(re.findall("^  -", body, re.MULTILINE)) for title, body in sections}
    assert len([title for title in options if title in HEADINGS]) >= 4
    assert options["Other"] == 1, "only --help"
    assert "Options" not in options


def test_opt_writes_text_and_constants(folder: Path) -> None:
    result = ai8xc("opt", "net.ir", "--passes", "fuse-activation", "-o", "out.ir")
    assert (result.exit_code, result.output) == (0, "")
    assert files(folder) == {"net.ir", "net.npz", "out.ir", "out.npz"}
    assert 'activation = "relu"' in Path("out.ir").read_text()
    before, after = read_arrays(Path("net.npz")), read_arrays(Path("out.npz"))
    assert before == after
    assert ai8xc("opt", "out.ir", "-o", "again.ir").exit_code == 0
    assert Path("again.ir").read_bytes() == Path("out.ir").read_bytes()
    assert Path("again.npz").read_bytes() == Path("out.npz").read_bytes()


def test_outputs_have_the_width_that_is_asked_for(folder: Path) -> None:
    plain = NET.replace('  %r = nn.relu(%a) : tensor<1x3x4x4xf32> loc("/conv/Relu")\n', "")
    Path("net.ir").write_text(plain.replace("return %r", "return %a"))
    for width, element in (("8", "i8"), ("32", "i32")):
        chosen = ("--output-width", width, "--dump-ir", f"steps{width}", "--emit", "ir")
        assert ai8xc("compile", "net.ir", *chosen).exit_code == 0
        (text,) = Path(f"steps{width}").glob("*-quantize.ir")
        assert f": tensor<1x3x4x4x{element}" in text.read_text()
    result = ai8xc("compile", "net.ir", "--output-width", "9", "-o", "build")
    assert result.exit_code == 2
    assert "'9' is not one of" in result.stderr


@pytest.mark.parametrize(
    "option", ["--weights net.npz", "--calcx4", "--skip-yaml-layers 1", "--no-bias"]
)
@pytest.mark.parametrize("command", ["compile -o build", "check"])
def test_options_of_descriptions_want_one(folder: Path, command: str, option: str) -> None:
    result = ai8xc(*command.split(), "net.ir", *option.split())
    assert result.exit_code == 2
    name = option.split(maxsplit=1)[0]
    assert f"`{name}` is for networks described for the vendor's tool" in result.stderr
    assert files(folder) == {"net.ir", "net.npz"}


def test_what_has_no_places_yet_can_be_placed_anew(folder: Path) -> None:
    result = ai8xc("compile", "net.ir", "--replace", "-o", "build")
    assert result.exit_code == 0, result.output
    assert "replaced" not in json.loads(Path("build/ai8xc.json").read_text())


def test_opt_reads_the_standard_input(folder: Path) -> None:
    text = (
        "nn.graph @n(%x: tensor<1x4xf32>) {\n  %y = nn.relu(%x) : tensor<1x4xf32>\n  return %y\n}\n"
    )
    assert ai8xc("opt", "-", text=text).stdout == text
    result = ai8xc("opt", "-", text=text + "}")
    assert result.exit_code == 2
    assert "<stdin>:5:1" in result.stderr


def test_steps_can_be_repeated_from_their_text(folder: Path) -> None:
    result = ai8xc("compile", "net.ir", "--dump-ir", "steps", "--emit", "ir", "--prove", "--time")
    assert result.exit_code == 0, result.output
    steps = sorted(Path("steps").glob("*.ir"))
    assert steps[0].name == "00-input.ir"
    proven = [line for line in result.stderr.splitlines() if line.startswith("proven: ")]
    assert len(proven) == len(steps) - 1, "each step, the registers too"
    for before, after in pairwise(steps):
        name = after.stem.partition("-")[2]
        again = ai8xc(
            *("opt", str(before), "--passes", name, "-o", "again.ir"),
            *("--device", "max78000", "--prove"),  # the proof's sample is part of the last step
        )
        assert again.exit_code == 0, again.output
        assert Path("again.ir").read_text() == after.read_text()


def test_compile_writes_all_files_or_none(folder: Path) -> None:
    assert ai8xc("compile", "net.ir", "-o", "out", "--emit", "ir").exit_code == 0
    first = {name: Path("out", name).read_bytes() for name in files(Path("out"))}
    assert "00-input.npz" in first
    assert ai8xc("compile", "net.ir", "-o", "out", "--emit", "ir").exit_code == 0
    assert {name: Path("out", name).read_bytes() for name in files(Path("out"))} == first
    Path("bad.ir").write_text(BAD)
    Path("bad.npz").write_bytes(Path("net.npz").read_bytes())
    before = files(folder)
    assert ai8xc("compile", "bad.ir", "-o", "no", "--emit", "ir").exit_code == 1
    assert files(folder) == before


def test_a_folder_with_other_files_is_kept(folder: Path) -> None:
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("years of work")
    result = ai8xc("compile", "net.ir", "-o", "out", "--emit", "ir")
    assert result.exit_code == 2
    assert "IR052" in result.stderr
    assert files(Path("out")) == {"thesis.txt"}
    assert ai8xc("compile", "net.ir", "-o", "out", "--emit", "ir", "--force").exit_code == 0
    assert "thesis.txt" not in files(Path("out"))


def test_output_that_cannot_be_written(folder: Path) -> None:
    result = ai8xc("compile", "net.ir", "-o", "net.npz/out", "--emit", "ir")
    assert result.exit_code == 2
    assert ai8xc("opt", "net.ir", "-o", "nowhere/out.ir").exit_code == 2


def test_our_mistake_leaves_a_reproducer(folder: Path) -> None:
    Path("mine.py").write_text(CRASH)
    passes = "remove-identities,crash{at=3},fuse-activation"
    result = ai8xc("opt", "net.ir", "--load", "mine.py", "--passes", passes)
    assert result.exit_code == 70
    assert "pass `crash` failed" in result.stderr
    assert "IndexError" in result.stderr
    first = Path("crash.ir").read_text().splitlines()[0]
    command = "opt --load mine.py --passes 'crash{at=3},fuse-activation'"
    assert first == f"// RUN: ai8xc {command}"
    assert ai8xc(*shlex.split(command), "crash.ir").exit_code == 70
    assert read_arrays(Path("crash.npz")) == read_arrays(Path("net.npz"))


def test_a_failed_proof_leaves_a_reproducer(folder: Path) -> None:
    Path("mine.py").write_text(CRASH)
    np.save("x.npy", np.ones((2, 4, 4)))
    arguments = ["--load", "mine.py", "--prove", "--sample", "x.npy"]
    passes = ["--passes", "remove-identities,crash"]
    assert ai8xc("opt", "net.ir", "--load", "mine.py", *passes).exit_code == 0
    result = ai8xc("opt", "net.ir", *arguments, *passes)
    assert result.exit_code == 70
    assert "pass `crash` changed the value of `%a` (net.ir:3:3: node `/conv/Conv`)" in result.stderr
    first = Path("crash.ir").read_text().splitlines()[0]
    assert first.removeprefix("// RUN: ai8xc ") == " ".join(["opt", *arguments, "--passes crash"])


def test_python_and_system_errors_of_a_loaded_file(folder: Path) -> None:
    for number, text in enumerate(("import nowhere", "raise SystemExit", "def")):
        path = Path(f"bad{number}.py")
        path.write_text(text)
        result = ai8xc("opt", "net.ir", "--load", str(path))
        assert result.exit_code == 2
        assert "IR053" in result.stderr
    assert ai8xc("opt", "net.ir", "--load", "none.py").exit_code == 2


BAD_FILES = {
    "folder.ir": None,
    "folder.onnx": None,
    "empty.ir": b"",
    "empty.onnx": b"",
    "bytes.ir": b"\xff\xfe\x00",
    "bytes.onnx": bytes(range(256)),
    "text.onnx": b"hello",
    "nul.ir": b"\x00" * 40,
    "model.pt": b"x",
    "none": b"x",
}


@pytest.mark.parametrize("command", ["compile", "check", "evaluate"])
@pytest.mark.parametrize("name", [*BAD_FILES, "missing.ir", "missing.onnx"])
def test_bad_model(folder: Path, command: str, name: str) -> None:
    if name.endswith(".onnx") and find_spec("ai8xc.frontend.onnx_model") is None:
        pytest.skip("needs the ONNX front end")
    content = BAD_FILES.get(name, b"")
    if name in BAD_FILES and content is None:
        Path(name).mkdir()
    elif name in BAD_FILES and content is not None:
        Path(name).write_bytes(content)
    np.savez("data.npz", x=np.zeros((1, 2, 4, 4), np.float32), y=np.zeros(1, np.int64))
    more = {"compile": ["-o", "out"], "check": [], "evaluate": ["--data", "data.npz"]}[command]
    result = ai8xc(command, name, *more)
    assert result.exit_code == 2
    assert result.output.count("error[") == 1
    assert not Path("out").exists()


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=pickled)
    return stream.getvalue()


BAD_SAMPLES = {
    "shape": npy(np.zeros((2, 4, 5))),
    "type": npy(np.array(["a"])),
    "nan": npy(np.full((2, 4, 4), np.nan)),
    "pickle": npy(np.array([{}]), pickled=True),
    "cut": npy(np.zeros((2, 4, 4)))[:-9],
    "bytes": b"\x93NUMPY garbage",
    "empty": b"",
}


@pytest.mark.parametrize("kind", BAD_SAMPLES)
def test_bad_sample(folder: Path, kind: str) -> None:
    Path("x.npy").write_bytes(BAD_SAMPLES[kind])
    arguments = ["--sample", "x.npy", "--prove", "--emit", "ir", "-o", "out"]
    result = ai8xc("compile", "net.ir", *arguments)
    assert result.exit_code == 2
    assert "error[" in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 99, pack_arrays({})[:-3]])
def test_bad_constants(folder: Path, content: bytes) -> None:
    Path("net.npz").write_bytes(content)
    assert ai8xc("opt", "net.ir").exit_code == 2


def test_arrays_of_objects_are_refused(folder: Path) -> None:
    np.savez("net.npz", w=np.array([{}]))
    result = ai8xc("opt", "net.ir")
    assert result.exit_code == 2
    assert "IR051" in result.stderr


def test_an_archive_that_unpacks_to_too_much_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_ARRAY_BYTES == 1 << 30
    monkeypatch.setattr("ai8xc.files.MAX_ARRAY_BYTES", 4000)
    Path("big.npz").write_bytes(pack_arrays({"w": Data(np.zeros(1000))}))
    with pytest.raises(Rejected, match="more than 4000"):
        read_arrays(Path("big.npz"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["opt", "net.ir", "--device", "max9999"],
        ["check", "net.ir", "--device", "max9999"],
        ["check", "net.ir", "--device", "all", "--format", "sarif"],
        ["opt", "net.ir", "--passes", "a{"],
        ["opt", "net.ir", "--passes", "no-such"],
        ["opt", "net.ir", "--passes", "fuse-activation{x=1}"],
        ["opt", "net.ir", "--format", "xml"],
        ["opt"],
        ["compile", "net.ir"],
        ["compile", "net.ir", "-o", "out", "--emit", "poetry"],
        ["compile", "net.ir", "-o", "out", "--weight-bits", "many"],
        ["compile", "net.ir", "-o", "out", "--emit", "ir", "--calibration", "none.npz"],
        ["evaluate", "net.ir"],
        ["explain", "XX000"],
        ["no-such-command"],
    ],
)
def test_bad_arguments(folder: Path, arguments: list[str]) -> None:
    assert ai8xc(*arguments).exit_code == 2
    assert files(folder) == {"net.ir", "net.npz"}


def test_check_tells_everything_as_json(folder: Path) -> None:
    Path("net.ir").write_text(BAD)
    result = ai8xc("check", "net.ir", "--format", "json", "--device", "max78002")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["device"] == "max78002"
    errors = [found for found in report["diagnostics"] if found["severity"] == "error"]
    assert [found["rule"] for found in errors] == ["Q010", "Q010"]
    assert errors[1]["location"] == "net.ir:5:3: node `/t`"
    assert set(errors[0]) == {"rule", "severity", "message", "location", "notes", "help"}


def test_check_for_all_devices(folder: Path) -> None:
    result = ai8xc("check", "net.ir", "--device", "all", "--format", "json")
    assert result.exit_code == 0
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert [report["device"] for report in reports] == ["max78000", "max78002"]
    assert ai8xc("check", "net.ir", "--device", "all").stdout.count("can be compiled") == 2
    assert ai8xc("check", "none.ir", "--device", "all").exit_code == 2


def test_evaluate_counts(folder: Path) -> None:
    """Every figure against numpy: the network gives the larger of two sums."""
    Path("sum.ir").write_text(
        "nn.graph @sum(%x: tensor<1x4xf32>) {\n"
        "  %w = nn.constant() {value = dense<[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]>}"
        " : tensor<2x4xf32>\n"
        "  %y = nn.linear(%x, %w) : tensor<1x2xf32>\n  return %y\n}\n"
    )
    x = np.random.default_rng(1).integers(-128, 128, (60, 4))
    y = (x[:, 2:].sum(1) > x[:, :2].sum(1)).astype(np.int64)
    y[:15] = 1 - y[:15]
    np.savez("data.npz", x=x, y=y)
    result = ai8xc("evaluate", "sum.ir", "--data", "data.npz", "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["samples"] == 60
    assert found["float_accuracy"] == 0.75
    assert found["integer_accuracy"] == 0.75
    assert found["agreement"] == 1
    assert [layer["name"] for layer in found["layers"]] == ["y"]
    assert found["layers"][0]["snr_db"] is None  # weights 0 and 1 are exact
    assert "75.00 %" in ai8xc("evaluate", "sum.ir", "--data", "data.npz").stdout


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros((3, 4))},
        {"x": np.zeros((3, 2, 4, 4)), "y": np.zeros(2, int)},
        {"x": np.zeros((3, 2, 4, 5)), "y": np.zeros(3, int)},
        {"x": np.full((3, 2, 4, 4), np.inf), "y": np.zeros(3, int)},
        {"x": np.zeros((3, 2, 4, 4)), "y": np.zeros(3)},
        {"x": np.zeros((3, 2, 4, 4)), "y": np.zeros(3, int)},
    ],
)
def test_evaluate_with_bad_data(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez("data.npz", **arrays)
    result = ai8xc("evaluate", "net.ir", "--data", "data.npz")
    assert result.exit_code == 2
    assert "IR063" in result.stderr


def test_lists(folder: Path) -> None:
    passes = json.loads(ai8xc("passes", "--format", "json").stdout)
    quantize = next(found for found in passes["passes"] if found["name"] == "quantize")
    assert {"name": "weight-bits", "default": 8} in quantize["options"]
    assert quantize["gives"] == ["q"]
    for found in passes["passes"]:
        assert found["name"] in ai8xc("passes").stdout
    devices = json.loads(ai8xc("devices", "--format", "json").stdout)["devices"]
    assert [device["name"] for device in devices] == ["max78000", "max78002"]
    assert "64 processors, 32 layers" in ai8xc("devices").stdout
    rules = json.loads(ai8xc("rules", "--format", "json").stdout)["rules"]
    for rule in rules:
        told = ai8xc("explain", rule["id"].lower()).stdout
        assert rule["explanation"].split()[0] in told
    assert len(ai8xc("rules").stdout.splitlines()) == len(rules)


def test_command_line_of_a_process(folder: Path) -> None:
    command = [sys.executable, "-m", "ai8xc", "check", "missing.ir"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "missing.ir" in result.stdout
    assert "\x1b[" not in result.stdout


def test_a_mistake_of_ours_outside_passes_has_its_own_exit_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ai8xc.survey.load_described", broken)
    monkeypatch.setattr(sys, "argv", ["ai8xc", "check", "net.ir"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 70
    assert "please report" in capsys.readouterr().err
