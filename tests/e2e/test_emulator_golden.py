"""The emulator runs register programs of the vendor's tool and finds their known answers.

It sees registers, kernels, biases and input words only. The default run is a sample that covers
every feature; `--golden-all` runs all programs.
"""

import re

import golden_corpus
from golden_differences import REPORTED, defect

from ai8xc.backends.emulator import Emulator


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
