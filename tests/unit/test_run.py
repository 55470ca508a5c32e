"""`ai8xc run`: engines, inputs, outputs, and everything that can be wrong with a project."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ai8xc.__main__ import main
from ai8xc.cli.main import cli
from ai8xc.grammar.reader import read_graph
from ai8xc.ir import interp
from ai8xc.ir.core import Data

NET = """q.graph @net(%x: tensor<1x2x3x4xi8, scale = 0.015625> loc("x")) {
  %w = q.constant() {value = file<"w">} : tensor<3x2x1x1xi8>
  %c = q.conv(%x, %w) {activation = "relu"} : tensor<1x3x3x4xi8> loc("/body/Conv", "/body/Relu")
  %f = q.reshape(%c) {shape = (1, 36)} : tensor<1x36xi8> loc("/flat")
  %v = q.constant() {value = file<"v">} : tensor<2x36xi8>
  %l = q.linear(%f, %v) {wide = true} : tensor<1x2xi32> loc("/head/Gemm")
  return %l, %c
}
"""
SHAPE = (2, 3, 4)
ENGINES = [
    "registers",
    pytest.param(
        "firmware",
        marks=pytest.mark.skipif(
            shutil.which("arm-none-eabi-gcc") is None, reason="gcc-arm-none-eabi is not installed"
        ),
    ),
]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "w": rng.integers(-128, 128, (3, 2, 1, 1)).astype(np.int8),
        "v": rng.integers(-128, 128, (2, 36)).astype(np.int8),
    }


@pytest.fixture(scope="module", params=["max78000", "max78002"])
def built(request, tmp_path_factory, arrays) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "net.ir").write_text(NET)
    np.savez(folder / "net.npz", **arrays)
    result = invoke("compile", folder / "net.ir", "-o", folder / "out", "--device", request.param)
    assert result.exit_code == 0, result.output
    return folder / "out"


@pytest.fixture
def project(built, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "project"))


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


def meaning(arrays, sample) -> list[np.ndarray]:
    """The outputs of the network for an input of integers, by the interpreter."""
    graph = read_graph(NET, "net", {name: Data(array) for name, array in arrays.items()})
    return [out[0] for out in interp.run(graph, {"x": sample[None].astype(np.int8)})]


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_own_sample(built, engine):
    result = invoke("run", built, "--engine", engine)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "PASS"
    assert ("*** PASS ***" in result.stdout) == (engine == "firmware")
    record = json.loads(invoke("run", built, "--engine", engine, "--format", "json").stdout)
    assert (record["engine"], record["passed"], record["findings"]) == (engine, True, [])
    assert record["outputs"] == [{"shape": [2], "bits": 32}, {"shape": [3, 3, 4], "bits": 8}]
    if engine == "firmware":
        counts = record["firmware"]["instructions"]
        assert {"cnn_load_weights", "load_input", "cnn_unload", "cnn_configure"} <= set(counts)
        assert all(count > 0 for count in counts.values())
        assert record["firmware"]["flash"] > record["firmware"]["network_flash"] > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_other_input(built, tmp_path, arrays, engine):
    """Outputs in the order and the shapes of the model; floats are in its range."""
    sample = np.random.default_rng(3).integers(-128, 128, SHAPE)
    expected = meaning(arrays, sample.astype(np.int8))
    real = save(tmp_path / "real.npy", sample * 0.015625)
    target = tmp_path / "y.npz"
    result = invoke("run", built, "--engine", engine, "--input", real, "--output", target)
    assert result.exit_code == 0, result.output
    with np.load(target) as found:
        assert found.files == ["output_0", "output_1"]
        assert (found["output_0"].dtype, found["output_1"].dtype) == (np.int32, np.int8)
        np.testing.assert_array_equal(found["output_0"], expected[0])
        np.testing.assert_array_equal(found["output_1"], expected[1])


def test_integers_count_steps_of_1_128(built, tmp_path, arrays):
    """Whatever the scale of the input, which is 1/64 here."""
    sample = 2 * np.random.default_rng(3).integers(-64, 64, SHAPE)
    target = tmp_path / "y.npz"
    given = save(tmp_path / "x.npy", sample)
    result = invoke("run", built, "--engine", "registers", "--input", given, "--output", target)
    assert result.exit_code == 0, result.output
    with np.load(target) as found:
        np.testing.assert_array_equal(found["output_0"], meaning(arrays, sample // 2)[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_many_samples(built, tmp_path, arrays, engine):
    samples = np.random.default_rng(4).integers(-128, 128, (5, *SHAPE))
    expected = [meaning(arrays, sample.astype(np.int8)) for sample in samples]
    labels = np.array([out[0].argmax() for out in expected])
    labels[2] = 1 - labels[2]
    data, target = tmp_path / "data.npz", tmp_path / "y.npz"
    np.savez(data, x=samples * 0.015625, y=labels)
    options = ("--engine", engine, "--data", data, "--output", target, "--format", "json")
    result = invoke("run", built, *options)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["samples"], record["correct"], record["accuracy"]) == (5, 4, 0.8)
    with np.load(target) as found:
        for i in range(2):
            np.testing.assert_array_equal(found[f"output_{i}"], [out[i] for out in expected])
    assert "accuracy: 80.00 % (4 of 5)" in invoke("run", built, *options[:4]).stdout


def test_without_the_compiler_the_registers_run(built, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result = invoke("run", built)
    assert result.exit_code == 0
    assert "PASS" in result.stdout
    assert "FW001" in result.stderr
    assert "gcc-arm-none-eabi" in result.stderr


BAD_INPUTS = {
    "shape": (np.zeros((2, 4, 3), np.int8), "its shape is (2, 4, 3), the input's is (2, 3, 4)"),
    "batch": (np.zeros((1, *SHAPE), np.int8), "its shape is (1, 2, 3, 4)"),
    "text": (np.full(SHAPE, "a"), "finite numbers"),
    "not a number": (np.full(SHAPE, np.nan), "finite numbers"),
    "complex": (np.zeros(SHAPE, complex), "finite numbers"),
    "pixels": (np.full(SHAPE, 200, np.uint8), "its integers go from 200 to 200"),
    "far floats": (np.full(SHAPE, 255.0), "the input's range is -2 to 1.98"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input(built, tmp_path, name):
    array, message = BAD_INPUTS[name]
    result = invoke("run", built, "--input", save(tmp_path / "x.npy", array))
    assert result.exit_code == 2
    assert "error[FW004]" in result.stderr
    assert message in result.stderr


@pytest.mark.parametrize("content", [{"z": [1]}, {"x": []}, {"x": np.zeros((2, *SHAPE)), "y": [1]}])
def test_bad_data(built, tmp_path, content):
    np.savez(tmp_path / "data.npz", **content)
    result = invoke("run", built, "--data", tmp_path / "data.npz")
    assert result.exit_code == 2
    assert "error[FW004]" in result.stderr


def test_bad_targets(built, tmp_path):
    many = invoke("run", built, "--output", tmp_path / "y.npy")
    assert many.exit_code == 2  # two outputs in one array
    assert "`.npz` holds them" in many.output
    assert invoke("run", built, "--output", tmp_path / "y.txt").exit_code == 2
    nowhere = invoke("run", built, "--output", tmp_path / "no" / "y.npz")
    assert nowhere.exit_code == 2
    assert "cannot be written" in nowhere.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_wrong_weights_fail(project, engine):
    """The run names the first wrong layer and channel, and the first wrong value."""
    header = project / "weights.h"
    lines = header.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if "define KERNELS" in line) + 1
    words = lines[row].split(", ")
    words[2] = f"0x{int(words[2].split()[0], 16) ^ 0x55555555:08x}"
    lines[row] = ", ".join(words)
    header.write_text("\n".join(lines))
    result = invoke("run", project, "--engine", engine)
    assert result.exit_code == 1
    assert "`weights.h` is not what was compiled" in result.stderr
    assert "FAIL: output `" in result.stdout
    assert "channel 0, row 0, column 0: expected" in result.stdout
    layers = r"0 \(/body/Conv, /body/Relu\)|1 \(/head/Gemm\)"
    assert re.search(rf"first wrong: layer ({layers}), channel \d", result.stdout)


def test_wrong_answer_fails(project):
    header = project / "sampleoutput.h"
    text = header.read_text()
    head, rest = text.split("SAMPLE_OUTPUT { \\\n", 1)
    words = rest.split(", ")
    words[3] = f"0x{int(words[3], 16) ^ 1:08x}"
    header.write_text(f"{head}SAMPLE_OUTPUT {{ \\\n{', '.join(words)}")
    record = json.loads(invoke("run", project, "--format", "json").stdout)
    assert record["passed"] is False
    assert record["difference"]["place"][0] == 0
    assert [d["rule"] for d in record["diagnostics"]][-1] == "FW006"


def edit(project: Path, **changes: object) -> None:
    path = project / "ai8xc.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_other_version(project):
    edit(project, tool={"name": "ai8xc", "version": "0.0.1"})
    result = invoke("run", project)
    assert result.exit_code == 2
    assert "FW005" in result.stderr
    assert "compile the model again" in result.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"tool": 3},
        {"device": "max1"},
        {"outputs": []},
        {"network": {}},
        {"program": {"functions": 1}},
    ],
)
def test_damaged_manifest(project, changes):
    edit(project, **changes)
    result = invoke("run", project)
    assert result.exit_code == 2
    assert "error[FW003]" in result.stderr


def test_no_project(project, tmp_path):
    for folder in (tmp_path / "nothing", tmp_path):
        result = invoke("run", folder)
        assert result.exit_code == 2
        assert "error[FW003]" in result.stderr
    (project / "ai8xc.json").write_text("{")
    assert invoke("run", project).exit_code == 2


@pytest.mark.parametrize("name", ["cnn.c", "weights.h", "sampledata.h"])
def test_missing_file(project, name):
    (project / name).unlink()
    result = invoke("run", project)
    assert result.exit_code == 2
    assert f"`{name}`: no such file or directory" in result.stderr


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_c_that_does_not_compile(project, engine):
    (project / "main.c").write_text("int main(void) { return nothing; }\n")
    result = invoke("run", project, "--engine", engine)
    assert result.exit_code == 2
    assert "FW002" in result.stderr
    assert "nothing" in result.stderr


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_more_than_the_flash_holds(project, engine):
    path = project / "main.c"
    large = "static const char large[1u << 22] = {1};\n\nint main(void)\n{\n    puts(large);\n"
    path.write_text(path.read_text().replace("int main(void)\n{\n", large))
    result = invoke("run", project, "--engine", engine)
    assert result.exit_code == 2
    assert re.search(r"it needs \d+ bytes of flash more than the chip has", result.stderr)


@pytest.mark.parametrize("engine", ENGINES)
def test_names_with_a_prefix(built, tmp_path, arrays, engine):
    folder, out = built.parent, tmp_path / "out"
    device = json.loads((built / "ai8xc.json").read_text())["device"]
    options = ("--prefix", "second", "--device", device)
    assert invoke("compile", folder / "net.ir", "-o", out, *options).exit_code == 0
    assert invoke("run", out, "--engine", engine).stdout.splitlines()[-1] == "PASS"
    sample = np.random.default_rng(5).integers(-128, 128, SHAPE)
    np.savez(tmp_path / "data.npz", x=sample[None] * 0.015625)
    target = tmp_path / "y.npz"
    options = ("--data", tmp_path / "data.npz", "--output", target)
    assert invoke("run", out, "--engine", engine, *options).exit_code == 0
    with np.load(target) as found:
        np.testing.assert_array_equal(found["output_0"][0], meaning(arrays, sample)[0])


def test_never_a_traceback(project, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["ai8xc", "run", str(project / "cnn.c")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
