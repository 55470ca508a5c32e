"""The options of a run: every project passes its own test, by registers and as compiled C."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from ai8xc.backends.emulator import Emulator
from ai8xc.backends.firmware.build import ARM, RISCV, build
from ai8xc.backends.firmware.machine import Machine
from ai8xc.backends.firmware.run import run_project
from ai8xc.cli.main import cli

BOTH = (
    "",
    "--fifo",
    "--riscv",
    "--fifo --riscv",
    "--fast-fifo --riscv",
    "--fast-fifo-quad --riscv",
    "--no-mexpress",
    "--powerdown --zero-sram",
    "--energy",
    "--timer 2",
    "--boost 2.5",
    "--stop-start",
    "--stop-after 0",
    "--mlator",
)
LARGE = (
    "--fifo --fifo-go",
    "--no-pipeline",
    "--no-pll --no-pipeline",
    "--one-shot",
    "--link-layer",
    "--start-layer 100",
)
CASES = [
    *((device, options) for device in ("max78000", "max78002") for options in BOTH),
    *(("max78002", options) for options in LARGE),
]

pytestmark = pytest.mark.skipif(
    ARM.missing or RISCV.missing, reason="the compilers for Arm and RISC-V are not installed"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two convolutions with an image of 8 bits as output."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (8, 3, 3, 3), "w2": (10, 8, 3, 3)}
    weights = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="conv1", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="conv2", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["y"], name="relu2"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10, 12, 12])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return path


def compiled(model, device, options, folder):
    arguments = ["compile", str(model), "--device", device, *options.split(), "-o", str(folder)]
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(("device", "options"), CASES, ids=lambda v: v.replace(" ", "") or "plain")
def test_project_passes(model, device, options, tmp_path):
    folder = tmp_path / "project"
    done = compiled(model, device, options, folder)
    assert done.exit_code == 0, done.output
    for engine in ("registers", "firmware"):
        report = run_project(folder, engine)
        assert report.passed, (engine, report.failure, report.difference)
        assert report.findings == []
        assert report.diagnostics == []
    assert "*** PASS ***" in report.printed


@pytest.mark.parametrize(
    ("device", "options", "rule"),
    [
        ("max78000", "--fifo --fifo-go", "NET-FIFOGO"),
        ("max78000", "--link-layer", "NET-LINK"),
        ("max78000", "--one-shot", "NET-ONESHOT"),
        ("max78000", "--start-layer 1", "NET-START"),
        ("max78000", "--fast-fifo", "FFIFO-RISCV"),
        ("max78000", "--riscv --no-riscv-cache", "NET-RISCV"),
        ("max78000", "--deepsleep", "NET-RISCV"),
        ("max78000", "--max-speed", "NET-MAXSPEED"),
        ("max78002", "--stop-after 99", "AX133"),
    ],
)
def test_what_cannot_be_is_refused(model, device, options, rule, tmp_path):
    done = compiled(model, device, options, tmp_path / "project")
    assert done.exit_code in (1, 2)
    assert f"[{rule}]" in done.output
    assert not (tmp_path / "project").exists()


def test_energy_is_measured_step_by_step(model, tmp_path):
    folder = tmp_path / "project"
    assert compiled(model, "max78000", "--energy", folder).exit_code == 0
    report = run_project(folder, "firmware")
    calls = [line for line in report.printed.splitlines() if line.startswith("Measuring")]
    assert len(calls) == 4
    plain = tmp_path / "plain"
    compiled(model, "max78000", "", plain)
    once = run_project(plain, "firmware")
    many, single = report.usage.instructions, once.usage.instructions
    assert many["cnn_load_weights"] == 101 * single["cnn_load_weights"]


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_several_networks_in_one_image(device, model, tmp_path):
    """Two networks with names of their own run in turns, twice each."""
    image = tmp_path / "image"
    image.mkdir()
    for prefix, options in (("one", "--fifo"), ("two", "--stop-after 0")):
        folder = tmp_path / prefix
        done = compiled(model, device, f"{options} --prefix {prefix}", folder)
        assert done.exit_code == 0, done.output
        report = run_project(folder, "firmware")
        assert report.passed
        assert f"{prefix}_load_weights" in report.usage.instructions
        names = [path.name for path in folder.glob("*.[ch]")]
        assert f"{prefix}_cnn.h" in names
        for name in names:
            target = f"{prefix}_main.c" if name == "main.c" else name
            head = f"#define main {prefix}_main\n" if name == "main.c" else ""
            (image / target).write_text(head + (folder / name).read_text())
    (image / "main.c").write_text(
        "int one_main(void);\nint two_main(void);\n"
        "int main(void)\n{\n"
        "    return one_main() | two_main() | one_main() | two_main();\n}\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    chip = Machine(build(image, device, work), device)
    assert chip.run() == 0
    assert chip.output.count("*** PASS ***") == 4


FILES = ("", "--stop-start", "--fifo", "--fifo --stop-start", "--one-shot")


@pytest.mark.parametrize("options", FILES)
def test_functions_can_be_executed_in_the_order_of_the_file(model, options, tmp_path):
    done = compiled(model, "max78002", f"{options} --emit registers", tmp_path / "p")
    assert done.exit_code == 0, done.output
    program = json.loads((tmp_path / "p" / "registers.json").read_text())
    arrays = np.load(tmp_path / "p" / "memory.npz")
    emulator = Emulator("max78002")
    for name in ("weights", "bias", "input"):
        pairs = (arrays[f"{name}_{part}"].tolist() for part in ("address", "value"))
        for address, value in zip(*pairs, strict=True):
            emulator.write(address, value)
    for function in program["functions"]:
        for access in function["writes"]:
            if isinstance(access, list):
                emulator.write(*access)
            elif access["op"] == "modify":
                word = emulator.read(access["address"])
                emulator.write(access["address"], word & ~access["mask"] | access["value"])
    assert emulator.findings == []
    parts = (arrays[f"expected_{part}"].tolist() for part in ("address", "mask", "value"))
    assert all(emulator.read(a) & mask == value for a, mask, value in zip(*parts, strict=True))
    names = [function["name"] for function in program["functions"]]
    assert names.count("cnn_stop") == 1
    assert names.count("cnn_continue") == (2 if options == "--one-shot" else 1)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_average_pools_round_where_that_is_wanted(device, tmp_path):
    digits = Path(__file__).resolve().parents[2] / "examples/digits/digits.onnx"
    answers = []
    for options in ("", "--avg-pool-rounding"):
        folder = tmp_path / f"project{len(answers)}"
        assert compiled(digits, device, options, folder).exit_code == 0
        report = run_project(folder, "registers")
        assert report.passed, report.difference
        answers.append(report.outputs[0])
    assert not np.array_equal(*answers)
