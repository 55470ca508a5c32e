"""The emulator runs register programs of the vendor's tool and finds their known answers.

It sees registers, kernels, biases and input words only. The default run is a sample that covers
every feature; `--golden-all` runs all programs.
"""

import re

import golden_corpus
from golden_differences import REPORTED

from ai8xc.backends.emulator import Emulator

BOTH = ("MAX78000", "MAX78002")
LARGE = ("MAX78002",)

# Accepted programs that cannot give their known answer: name, devices, cause (golden README).
DEFECTS = [
    (r".*__zero-unused", BOTH, "the option clears registers of the last layer"),
    (r"test-cifar10-chw\+bias", BOTH, "output map with holes and bias"),
    (r"test-fifostream-cifar-hwc\+bias__fifo", BOTH, "output map with holes and bias"),
    (r"test-fifostream-group-notvga64x48-hwc__fifo", BOTH, "two channels are never pushed"),
    (r"test-fifostream-group-notvga64x48-hwc__ffifo-rv", BOTH, "two channels are never pushed"),
    (r"test-fifostream-group-notvga64x48-hwc__ffquad-rv", BOTH, "two channels are never pushed"),
    (r"test-fifo-hwc__ffquad-rv", BOTH, "quad start layer with 1x1 kernels"),
    (r"test-multilayer-eltwise", BOTH, "the answer splits channels, the registers pixels"),
    (r"test-ffsx4-cifar10-hwc__ffquad-rv", LARGE, "two kernels at one address"),
    (r"test-ffsx4readahead-nopad-multipass5-w8__ffifo-rv", LARGE, "two kernels at one address"),
    (r"test-fifostream-x4-cifar-hwc__fifo", LARGE, "two kernels at one address"),
    (r"test-fifostream-x4-cifar-hwc-128x128__fifo", LARGE, "two kernels at one address"),
    (r"test-mpadd-128__calcx4", LARGE, "two kernels at one address"),
]


def defect(entry):
    """Why the program cannot give its known answer, None when it can."""
    for name, devices, cause in DEFECTS:
        if entry.device in devices and re.fullmatch(name, entry.name):
            return cause
    return None


def always(entry):
    """Whether a program is in every sample: our own ones and all that are listed."""
    listed = defect(entry) or any(re.fullmatch(name, entry.name) for name, _, _ in REPORTED)
    return listed or "own" in entry.features


def pytest_generate_tests(metafunc):
    golden_corpus.give_entries(metafunc, lambda: golden_corpus.cheapest(always))


def test_known_answer(entry, record_property):
    program = golden_corpus.Program(entry.path)
    emulator = Emulator(entry.device)
    cause = defect(entry)
    record_property("golden", (entry.device, entry.features, "defect" if cause else "equal", cause))
    golden_corpus.load(program, emulator)
    golden_corpus.start(program, emulator)
    wrong = golden_corpus.differing_words(program, emulator)
    if cause:
        assert wrong, f"listed as a defect ({cause}), but the known answer came out"
        return
    assert len(program.arrays["kat_addr"]) > 0
    assert wrong == 0
    check_findings(entry, emulator)
    check_cycles(program, emulator)


def check_findings(entry, emulator):
    """A correct program is not reported; the listed ones are, for the listed reason."""
    for name, kind, _ in REPORTED:
        if re.fullmatch(name, entry.name):
            assert {finding.kind for finding in emulator.findings} == {kind}
            return
    assert emulator.findings == []


def check_cycles(program, emulator):
    """The cycles of every layer, where the vendor states them for the whole run."""
    latency = program.meta.get("latency")
    if not latency or "--repeat-layers" in program.meta["flags"]:
        return
    if "--one-shot" not in program.meta["flags"]:
        assert [t.cycles for t in emulator.layers] == [c for c, _ in latency["layers"]]
