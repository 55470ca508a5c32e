"""The generated C: compiles without a warning, runs on the emulated core, passes its own test.

One network of each family, closely; `test_vendor_golden.py` runs the firmware of all vectors.
"""

import shutil
import subprocess

import firmware_programs
import golden_corpus
import numpy as np
import pytest

from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.ai8x.unload import unload_words
from ai8xc.backends.firmware.build import RISCV, build
from ai8xc.backends.firmware.machine import Machine
from ai8xc.backends.firmware.names import RISCV_MAIN
from ai8xc.backends.firmware.sdk import sdk_files

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Wshadow", "-Wmissing-prototypes")
ARM = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb")
SECOND = (RISCV.compiler, *RISCV.flags)
FAMILIES = [
    ("MAX78000", "net-mnist__softmax"),
    ("MAX78000", "net-kws20_v3__softmax"),  # 1-D
    ("MAX78000", "test-widein-bias"),  # several passes
    ("MAX78000", "test-max"),  # 8-bit output, planes
    ("MAX78000", "test-conv1d-pool-3-q4"),  # odd planes
    ("MAX78000", "test-upsample-nonsquare-pad2B"),  # 32-bit planes
    ("MAX78000", "test-conv1x1__no-mexpress"),  # plain kernels
    ("MAX78000", "test-fifostream-nonsquare-hwc__fifo"),  # FIFO, streaming
    ("MAX78000", "test-fifostream-cifar-hwc__ffquad-rv"),  # fast FIFO
    ("MAX78000", "net-svhn_tinierssd__overlap"),  # several outputs
    ("MAX78002", "net-fashionmnist-chw"),
    ("MAX78002", "test-depthwise6x5x7-move"),
    ("MAX78002", "test-snoop2-noxval"),
]

pytestmark = [
    pytest.mark.skipif(golden_corpus.golden_folder() is None, reason=golden_corpus.NO_VECTORS),
    pytest.mark.skipif(shutil.which(ARM[0]) is None, reason="gcc-arm-none-eabi is not installed"),
    pytest.mark.skipif(
        shutil.which(SECOND[0]) is None, reason="gcc-riscv64-unknown-elf is not installed"
    ),
]


def sources(folder):
    return sorted(path.name for path in folder.glob("*.c"))


@pytest.fixture(params=FAMILIES, ids="-".join)
def project(request, tmp_path):
    program = firmware_programs.program(*request.param)
    return program, write(program, tmp_path / "project")


def write(program, folder):
    folder.mkdir()
    for name, text in CProject(program).files().items():
        (folder / name).write_text(text)
    return folder


def machine(program, folder, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    return Machine(build(folder, program.device, work), program.device)


@pytest.mark.parametrize(
    "compiler",
    [("gcc", "-O0"), (*ARM, "-O2"), (*ARM, "-Os")],
    ids=["host", "arm", "arm-small"],
)
def test_no_warnings(project, tmp_path, compiler):
    _, folder = project
    sdk = tmp_path / "sdk"
    sdk.mkdir()
    for name, content in sdk_files().items():
        (sdk / name).write_bytes(content)
    riscv = (folder / RISCV_MAIN).is_file()
    for source in sources(folder):
        core = SECOND if riscv and source != "main.c" else compiler
        command = [*core, "-O2", "-std=c99", *WARNINGS, "-Werror", f"-I{sdk}", "-c"]
        target = ["-o", str(tmp_path / "object.o")]
        done = subprocess.run(
            [*command, str(folder / source), *target], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_known_answer(project, tmp_path):
    program, folder = project
    chip = machine(program, folder, tmp_path)
    assert chip.run() == 0
    assert "*** PASS ***" in chip.output
    assert list(chip.findings) == []
    assert [f for f in chip.emulator.findings if f.changes_results] == []
    expected = dict(zip(*(a.tolist() for a in program.expected_words()[::2]), strict=True))
    read = [program.read_output(u, expected.__getitem__) for u in program.unloads]
    words = unload_words(read)
    assert np.array_equal(chip.words("outputs", len(words)), words)


def test_writes_are_those_of_the_program(project, tmp_path):
    """One write a word: no more than the vendor's code needs for the same network."""
    program, folder = project
    chip = machine(program, folder, tmp_path)
    chip.run()
    accesses = sum(a.kind == "write" for f in program.functions for a in f.accesses)
    handler = len(program.function("CNN_ISR").accesses)
    packed = CProject(program).express
    words = sum(-(-9 * len(k.data.array) // 4) + 1 if packed else 4 * len(k.data.array)
                for k in program.kernels)  # fmt: skip
    data = len(program.input_words()[0]) + len(program.bias_words()[0])
    assert chip.bus.writes == accesses + handler + words + data


def test_wrong_weight_fails(tmp_path):
    program = firmware_programs.program("MAX78000", "net-mnist__softmax")
    folder = write(program, tmp_path / "project")
    header = folder / "weights.h"
    words = header.read_text().split(", ")
    for i in range(1000, len(words) - 1000, 500):
        words[i] = f"0x{int(words[i].split()[-1], 0) ^ 0x40404040:08x}"
    header.write_text(", ".join(words))
    chip = machine(program, folder, tmp_path)
    assert chip.run() == 1
    assert "*** FAIL ***" in chip.output
    assert "Data mismatch at 0x" in chip.output


def test_same_text_twice():
    program = firmware_programs.program("MAX78000", "test-max")
    assert CProject(program).files() == CProject(program).files()


def test_faster_than_a_word_loop(tmp_path):
    """At most half of a plain loop, which is six instructions a word at -O2."""
    program = firmware_programs.program("MAX78000", "net-mnist__softmax")
    folder = write(program, tmp_path / "project")
    chip = machine(program, folder, tmp_path)
    chip.run()
    weights = sum(k.data.array.size for k in program.kernels)
    assert chip.profile.spent["cnn_load_weights"] <= weights * 6 / 4 / 2
    assert chip.profile.spent["cnn_unload"] <= 10 * 6 / 2
    assert chip.profile.spent["cnn_configure"] <= 325  # the vendor's program
    verify = 128  # bytes of cnn_verify_weights, which the vendor's program has not
    assert chip.size.network_text - verify <= 73_612
