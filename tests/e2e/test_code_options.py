"""Options of the C code: each does on the emulated chip what it says, on both devices."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from ai8xc.backends.firmware import chip as chips
from ai8xc.backends.firmware.build import ARM, RISCV, build
from ai8xc.backends.firmware.machine import Machine
from ai8xc.backends.firmware.run import run_many, run_project
from ai8xc.cli.main import cli
from ai8xc.registers import load_registers

DEVICES = ("max78000", "max78002")
ONE_OF_BOTH = (DEVICES[:1], DEVICES[1:])
"""For options whose code is the same on both."""
PCLKDIV, CACHE, BOOT, WAKE = chips.PCLKDIV, 0x4002_A800, 0x4000_0804, 0x4000_6800
DIVIDERS = {1: 4, 2: 0, 4: 1, 8: 2, 16: 3}
pytestmark = pytest.mark.skipif(
    ARM.missing or RISCV.missing, reason="the compilers for Arm and RISC-V are not installed"
)


def model_of(shapes, size, path):
    """Convolutions with padding, each with a ReLU, as ONNX."""
    rng = np.random.default_rng(len(shapes))
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes]
    nodes, last = [], "x"
    for i, weight in enumerate(weights):
        pads = [weight.shape[2] // 2] * 4
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], f"conv{i}", pads=pads))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"))
        last = f"r{i}"
    ends = [(1, shapes[0][1], *size), (1, shapes[-1][0], *size)]
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("x", last), ends, strict=True)
    ]
    constants = [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], constants)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A network whose output is an image of 8 bits."""
    folder = tmp_path_factory.mktemp("image")
    return model_of([(8, 3, 3, 3), (10, 8, 3, 3)], (8, 12), folder / "net.onnx")


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A network with five outputs of 8 bits."""
    folder = tmp_path_factory.mktemp("scores")
    return model_of([(8, 3, 1, 1), (5, 8, 1, 1)], (1, 1), folder / "net.onnx")


def compiled(model, device, options, folder):
    arguments = ["compile", str(model), "--device", device, *options, "-o", str(folder)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "OPT-NOEFFECT" not in done.output
    return done


def machine_of(model, device, options, folder):
    """The chip with the firmware of a project loaded."""
    compiled(model, device, options.split(), folder / "project")
    (folder / "work").mkdir()
    return Machine(build(folder / "project", device, folder / "work"), device)


def divider(machine):
    return machine.chip.words[PCLKDIV] >> 14 & 7


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
@pytest.mark.parametrize("core", ["", "--riscv"])
def test_without_known_answer(device, core, image, tmp_path):
    compiled(image, device, ["--no-kat", *core.split()], tmp_path / "p")
    main = (tmp_path / "p" / ("main_riscv.c" if core else "main.c")).read_text()
    assert "check_output" not in main
    report = run_project(tmp_path / "p", "firmware")
    assert report.passed, "as the registers compute it"
    assert "*** DONE ***" in report.printed
    assert run_project(tmp_path / "p", "registers").passed is None


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
def test_part_of_the_known_answer(device, image, tmp_path):
    compiled(image, device, ["--max-checklines", "5", "--emit", "c,registers"], tmp_path / "p")
    table = (tmp_path / "p" / "sampleoutput.h").read_text()
    assert table.count("0x") == 3 + 5 + 1, "address, mask, count, words, 0"
    assert run_project(tmp_path / "p", "firmware").passed
    with np.load(tmp_path / "p" / "memory.npz") as memory:
        assert len(memory["expected_value"]) > 5


def test_wrong_words_of_a_part_are_found(image, tmp_path):
    compiled(image, "max78000", ["--max-checklines", "5"], tmp_path / "p")
    header = tmp_path / "p" / "sampleoutput.h"
    words = header.read_text().split("0x")
    words[5] = f"{int(words[5][:8], 16) ^ 1:08x}{words[5][8:]}"
    header.write_text("0x".join(words))
    report = run_project(tmp_path / "p", "firmware")
    assert report.passed is False
    assert "Data mismatch" in report.printed


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
def test_without_unload(device, image, tmp_path):
    compiled(image, device, ["--no-unload"], tmp_path / "p")
    assert "cnn_unload(uint32_t" not in (tmp_path / "p" / "cnn.h").read_text()
    report = run_project(tmp_path / "p", "firmware")
    assert report.passed
    assert "cnn_unload" not in report.usage.instructions
    assert report.outputs[0].shape == (10, 8, 12)


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
def test_softmax_of_bytes(device, scores, tmp_path):
    compiled(scores, device, [], tmp_path / "plain")
    assert "Class" not in run_project(tmp_path / "plain", "firmware").printed
    compiled(scores, device, ["--softmax"], tmp_path / "p")
    report = run_project(tmp_path / "p", "firmware")
    shown = [line.split() for line in report.printed.splitlines() if "-> Class" in line]
    found = [float(line[-1].rstrip("%")) for line in shown]
    manifest = json.loads((tmp_path / "p" / "ai8xc.json").read_text())
    logits = report.outputs[0].reshape(-1) * manifest["network"]["outputs"][0]["scale"]
    wanted = 100 * np.exp(logits) / np.exp(logits).sum()
    assert np.allclose(found, wanted, atol=0.2)


@pytest.mark.parametrize("device", ONE_OF_BOTH[0])
@pytest.mark.parametrize(("core", "asleep"), [("", "MXC_LP_EnterSleepMode"), ("--riscv", "wfi")])
def test_waiting_without_sleep(device, core, asleep, image, tmp_path):
    compiled(image, device, ["--no-wfi", *core.split()], tmp_path / "p")
    main = (tmp_path / "p" / ("main_riscv.c" if core else "main.c")).read_text()
    assert asleep not in main
    assert run_project(tmp_path / "p", "firmware").passed


def test_without_timer(image, tmp_path):
    compiled(image, "max78000", ["--no-timer"], tmp_path / "p")
    assert "CNN_INFERENCE_TIMER" not in (tmp_path / "p" / "cnn.h").read_text()
    assert run_project(tmp_path / "p", "firmware").passed


@pytest.mark.parametrize(
    ("device", "options", "running", "end"),
    [
        ("max78000", "", 1, 1),
        ("max78000", "--clock-divider 4", 4, 4),
        ("max78002", "", 1, 4),
        ("max78002", "--clock-divider 2", 2, 4),
        ("max78002", "--max-speed", 1, 1),
        ("max78002", "--max-speed --clock-divider 8", 8, 8),
        ("max78002", "--no-pll --no-pipeline", 2, 2),
        ("max78002", "--no-pll --clock-divider 16", 16, 16),
    ],
)
def test_clock_divider(device, options, running, end, image, tmp_path):
    machine = machine_of(image, device, options, tmp_path)
    started, seen = machine._started, []
    machine._started = lambda: (seen.append(divider(machine)), started())
    assert machine.run() == 0
    assert seen == [DIVIDERS[running]]
    assert divider(machine) == DIVIDERS[end], "loading is slower again"


@pytest.mark.parametrize(
    ("options", "waits"),
    [
        ("", [2_000_000, 10_000]),
        ("--debugwait 0", [10_000]),
        ("--debugwait 5 --switch-delay 25", [5_000_000, 25_000]),
        ("--switch-delay 0", [2_000_000]),
        ("--riscv --debugwait 3", [3_000_000, 10_000]),
    ],
)
def test_delays(options, waits, image, tmp_path):
    machine = machine_of(image, "max78002", options, tmp_path)
    wait, seen = machine.chip.wait, []
    machine.chip.wait = lambda time: (seen.append(time), wait(time))
    assert machine.run() == 0
    assert seen == waits


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("option", "memory"), [("--verify-writes", False), ("--verify-kernels", True)]
)
def test_what_was_written_is_verified(device, option, memory, image, tmp_path):
    for options, fails in ((option, True), ("", False)):
        folder = tmp_path / f"wrong{fails}"
        folder.mkdir()
        machine = machine_of(image, device, options, folder)
        emulator, registers = machine.emulator, load_registers(device)
        read, kernels = emulator.read, registers.memory("kernel")

        def other(address, read=read, registers=registers, kernels=kernels):
            place, found = registers.locate(address), registers.locate_memory(address)
            wrong = found and found.memory is kernels if memory else place and place.layer == 1
            return read(address) ^ (1 << 24 if wrong else 0)

        emulator.read = other
        assert bool(machine.run()) == fails
        assert ("*** FAIL ***" in machine.output) == fails


@pytest.mark.parametrize("device", DEVICES)
def test_riscv_core(device, image, tmp_path):
    for number, (options, cache, exclusive, wake) in enumerate(
        (
            ("--riscv", 1, 0, 0),
            ("--riscv-exclusive", 1, 1, 0),
            ("--riscv --deepsleep", 1, 0, 1 << 10),
            ("--riscv-debug", 1, 0, 0),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        machine = machine_of(image, device, options, folder)
        assert machine.run() == 0
        words = machine.chip.words
        assert (words.get(CACHE, 0), words.get(BOOT, 0), words.get(WAKE, 0)) == (
            cache,
            exclusive,
            wake,
        )
        assert ("MXC_LP_EnterLowPowerMode" in machine.profile.spent) == (wake > 0)
        assert ("Debug_Init" in machine.network_profile.spent) == ("debug" in options)


@pytest.mark.parametrize("options", ["--riscv", "--riscv --no-riscv-flash"])
def test_constants_of_the_riscv_core(options, image, tmp_path):
    compiled(image, "max78000", options.split(), tmp_path / "p")
    marked = "rvflash_section" in (tmp_path / "p" / "cnn.c").read_text()
    assert marked == ("no-" not in options)
    assert run_project(tmp_path / "p", "firmware").passed


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
def test_loops_are_unrolled(device, image, tmp_path):
    spent = {}
    for times in (1, 8):
        folder = tmp_path / str(times)
        compiled(image, device, ["--unroll-8bit", str(times)], folder)
        report = run_project(folder, "firmware")
        assert report.passed
        spent[times] = report.usage.instructions["cnn_unload"]
    assert spent[8] < spent[1]


@pytest.mark.parametrize("option", ["--unroll-wide", "--unroll-mlator"])
def test_other_loops_are_unrolled(option, image, tmp_path):
    more = ["--mlator"] if "mlator" in option else ["--stop-after", "0"]
    compiled(image, "max78000", [option, "4", *more], tmp_path / "p")
    code = (tmp_path / "p" / "cnn.c").read_text()
    assert ("#pragma GCC unroll 4" in code) == ("mlator" in option), "there is no 32-bit output"
    assert run_project(tmp_path / "p", "firmware").passed


@pytest.mark.parametrize("core", ["", "--riscv"])
def test_macros_reach_the_compiler(core, image, tmp_path):
    compiled(image, "max78000", ["--define", "FAST A=1", *core.split()], tmp_path / "p")
    assert "PROJ_CFLAGS += -DFAST -DA=1\n" in (tmp_path / "p" / "Makefile").read_text()
    for name, guard in (("cnn.c", "FAST"), ("cnn.c", "A == 1")):
        code = tmp_path / "p" / name
        test = f"#if !defined({guard})" if guard.isalpha() else f"#if !({guard})"
        code.write_text(f"{test}\n#error no macro\n#endif\n" + code.read_text())
    assert run_project(tmp_path / "p", "firmware").passed


def test_macros_of_one_core(image, tmp_path):
    options = ["--riscv", "--define-default-arm", "ONE", "--define-default-riscv", "TWO"]
    compiled(image, "max78000", options, tmp_path / "p")
    for name, wanted, other in (("main.c", "ONE", "TWO"), ("cnn.c", "TWO", "ONE")):
        code = tmp_path / "p" / name
        check = f"#if !defined({wanted}) || defined({other})\n#error wrong core\n#endif\n"
        code.write_text(check + code.read_text())
    assert run_project(tmp_path / "p", "firmware").passed


@pytest.mark.parametrize("core", ["", "--riscv", "--prefix one"])
def test_names_of_files(core, image, tmp_path):
    options = ["--c-filename", "app", "--api-filename", "net.c", "--weight-filename", "w.h"]
    options += ["--sample-filename", "s.h", "--sample-output-filename", "a.h"]
    options += ["--board-name", "FTHR_RevA", *core.split()]
    compiled(image, "max78000", options, tmp_path / "p")
    names = {"app.c", "net.c", "net.h", "w.h", "s.h", "a.h"} | (
        {"app_riscv.c"} if core == "--riscv" else set()
    )
    assert names <= {path.name for path in (tmp_path / "p").iterdir()}
    assert not (tmp_path / "p" / "main.c").exists()
    makefile = (tmp_path / "p" / "Makefile").read_text()
    assert "BOARD ?= FTHR_RevA" in makefile
    assert "net.c" in makefile
    x = np.zeros((3, 8, 12), np.int8)
    for engine in ("registers", "firmware"):
        assert run_project(tmp_path / "p", engine).passed
    assert run_project(tmp_path / "p", "firmware", x).passed


@pytest.mark.parametrize(
    "options",
    [["--api-filename", "none"], ["--define", "a-b"], ["--clock-divider", "3"],
     ["--weight-filename", "../w.h"], ["--max-checklines", "0"], ["--board-name", "a b"]],
)  # fmt: skip
def test_bad_values_are_refused(options, image, tmp_path):
    arguments = ["compile", str(image), *options, "-o", str(tmp_path / "p")]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert options[0] in done.output


@pytest.mark.parametrize("device", ONE_OF_BOTH[1])
def test_riscv_core_with_a_prefix(device, image, tmp_path):
    compiled(image, device, ["--riscv", "--prefix", "one"], tmp_path / "p")
    report = run_project(tmp_path / "p", "firmware")
    assert report.passed
    assert {"one_start", "one_load_weights"} <= set(report.usage.instructions)
    assert "void ONE_ISR(void)" in (tmp_path / "p" / "one_cnn.h").read_text()


@pytest.mark.parametrize(
    ("device", "options"),
    [
        ("max78000", "--riscv"),
        ("max78002", "--riscv --fifo --prefix one"),
        ("max78000", "--no-unload"),
    ],
)
def test_many_samples_on_the_core_of_the_project(device, options, image, tmp_path):
    compiled(image, device, options.split(), tmp_path / "p")
    rng = np.random.default_rng(5)
    samples = rng.integers(-128, 128, (4, 3, 8, 12)).astype(np.int8)
    found = {e: run_many(tmp_path / "p", e, samples) for e in ("firmware", "registers")}
    assert found["firmware"].engine == "firmware"
    assert all(run.passed for run in found.values())
    assert np.array_equal(found["firmware"].outputs[0], found["registers"].outputs[0])
    assert len({out.tobytes() for out in found["firmware"].outputs[0]}) == 4


@pytest.mark.parametrize("device", DEVICES)
def test_what_can_be_told(device, image, tmp_path):
    options = ["-v", "--display-checkpoint", "--log", "--log-intermediate"]
    done = compiled(image, device, [*options, "--sample-numpy-filename", "y.npy"], tmp_path / "p")
    assert "weight memory" in done.output
    assert "8x3x3x3" in done.output
    log = (tmp_path / "p" / "log.txt").read_text()
    assert "conv1" in log
    report = run_project(tmp_path / "p", "registers")
    assert np.array_equal(np.load(tmp_path / "p" / "y.npy"), report.outputs[0])
    with np.load(tmp_path / "p" / "layers.npz") as layers:
        assert len(layers.files) == 2
        for trace, name in zip(report.layers, layers.files, strict=True):
            assert np.array_equal(layers[name], trace.output)


def test_overwrite_replaces_any_folder(image, tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "mine.txt").write_text("mine")
    arguments = ["compile", str(image), "-o", str(tmp_path / "p")]
    assert CliRunner().invoke(cli, arguments).exit_code == 2
    compiled(image, "max78000", ["--overwrite"], tmp_path / "p")
    assert (tmp_path / "p" / "cnn.c").is_file()


def test_hints_can_be_silenced(image, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 12), np.int8))
    sample = ["--sample", str(tmp_path / "x.npy")]
    zero = compiled(image, "max78000", sample, tmp_path / "a")
    assert zero.output.count("[KAT-ZERO]") == 2
    assert "KAT-ZERO" not in compiled(image, "max78000", [], tmp_path / "b").output
    quiet = compiled(image, "max78000", [*sample, "--no-warn-zero"], tmp_path / "c")
    assert "KAT-ZERO" not in quiet.output


def described(folder, layer, size):
    """Arguments that compile one described layer with four outputs."""
    text = "arch: test\ndataset: x\nlayers:\n  - {processors: 7, out_offset: 0x2000, op: conv2d,"
    (folder / "net.yaml").write_text(f"{text} activate: none, pad: 1{layer}}}\n")
    weights = {"w0": np.ones((4, 3, 3, 3), np.int8), "b0": np.array([1, 2, 3, 4], np.int8)}
    np.savez(folder / "w.npz", **weights)
    np.save(folder / "x.npy", np.ones((3, size, size), np.int8))
    given = {"--weights": "w.npz", "--sample": "x.npy", "-o": "p"}
    words = [word for name, file in given.items() for word in (name, str(folder / file))]
    return ["compile", str(folder / "net.yaml"), *words]


def test_the_transposer_hint_can_be_silenced(tmp_path):
    arguments = [*described(tmp_path, "", 5), "--mlator"]
    assert "[MLATOR-4]" in CliRunner().invoke(cli, arguments).output
    quiet = CliRunner().invoke(cli, [*arguments, "--ignore-mlator-warning"])
    assert quiet.exit_code == 0
    assert "MLATOR" not in quiet.output


def test_bias_groups_can_be_ignored(tmp_path):
    arguments = described(tmp_path, ", bias_group: 3", 6)
    assert "[BIAS-GROUP]" in CliRunner().invoke(cli, arguments).output
    done = CliRunner().invoke(cli, [*arguments, "--ignore-bias-groups"])
    assert done.exit_code == 0, done.output
    assert run_project(tmp_path / "p", "firmware").passed
