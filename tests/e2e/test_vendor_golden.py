"""Vendor vectors through `ai8xc compile`: description and inputs in, the vendor's program out.

Compared are the register accesses of every function in content and order, the memories word for
word, the known answers and the outputs; the emulator then runs the files as they are, and the
firmware, compiled without a warning, must print PASS. What the vendor's tool refuses is refused
for the same cause, at the same layer. The networks in `vendor_networks` were designed for this
project; the vendor's own are in the optional folder, of which the default run takes a sample that
has every feature, `--golden-all` all. The run ends with a table of both.
"""

import json
import re
from collections import Counter
from dataclasses import replace

import golden_corpus
import numpy as np
import pytest
import yaml
from golden_differences import (
    DEFECTS,
    DELIBERATE,
    LARGER_THAN_THE_CHIP,
    REFUSED,
    REPORTED,
    kernel_words,
    listed,
)
from golden_options import Given
from golden_rules import NOT_REPRODUCED, refused
from vendor_causes import CAUSES
from vendor_command import compiled, not_offered, wrong_on_emulator

from ai8xc.backends.firmware import build
from ai8xc.backends.firmware.build import ARM, RISCV
from ai8xc.backends.firmware.run import run_project
from ai8xc.cli.vendor_table import NOT_OFFERED
from ai8xc.ir.diag import Rejected

FILES = {"cnn_init", "cnn_configure", "cnn_start"}
EVERY = 20  # of the sampled run
ENOUGH = 8 << 20
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wmissing-prototypes")
STRICT = (*WARNINGS, "-Werror", "-DENERGY_REPEATS=2")
"""The measurement of energy repeats the network 100 times, which shows nothing more."""

OTHER_CAUSES = [
    (
        r"test-mpadd-128__start-layer_1",
        "SEQ-IN-FWD",
        "the layer that is read is left out; the vendor's tool pools its 0x0 pixels",
    ),
]
"""Networks that are refused for another cause, which is the true one."""

ACCEPTED = [
    (r"r14_concat_unequal", "refused without need: joined tensors may have different channels"),
]
"""Networks that the vendor's tool refuses because of a defect; ours run on the emulator."""


def pytest_generate_tests(metafunc):
    own = golden_corpus.own_entries()
    golden_corpus.give_entries(metafunc, sample, own)
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", DEFECTS, ids=lambda row: row[0])
    if "verdict" in metafunc.fixturenames:
        every = metafunc.config.getoption("--golden-all")
        metafunc.parametrize("verdict", list(verdicts(every=every)))


def sample():
    """Every feature, and some more; one network writes over its input behind a stream."""
    behind = [e for e in golden_corpus.entries() if e.name == "net-facedet_tinierssd__fifo"]
    return [*golden_corpus.covering(), *golden_corpus.every(EVERY), *behind]


def verdicts(*, every):
    """Networks that are refused: ours, and some or all of the vendor's."""
    seen = Counter()
    for entry in golden_corpus.own_entries("refused"):
        case = json.loads((entry.path / "case.json").read_text())
        code = (case.get("reject") or case["crash"])["code"]
        yield pytest.param((code, case, entry.path), id=entry.id)
    for code, case, path in refused():
        seen[code] += "own" not in path.parts
        if "own" not in path.parts and (every or seen[code] <= 2):
            yield pytest.param((code, case, path), id=f"{case['device']}-{path.name}")


def test_refused_for_the_same_cause(verdict, tmp_path, record_property):
    code, case, path = verdict
    gone = not_offered(case["flags"])
    other, fine = listed(path.name, OTHER_CAUSES), listed(path.name, ACCEPTED)
    row = other or fine
    kind = "obsolete" if gone else "deliberate" if row else "same cause"
    why = obsolete(gone) if gone else row and row[-1]
    record_property("refused", (case["device"], (), kind, why))
    if gone:
        assert_refused_with_reason(path, case, tmp_path, gone)
        return
    timer = ("--timer", "0") if code == "timer_with_oneshot" else ()
    found = compiled(path, case, tmp_path, *timer)
    if fine:
        assert found.code == 0
        assert wrong_on_emulator(case, found) == 0
        return
    assert found.code in (1, 2)
    wanted = other[1] if other else CAUSES[code]
    number = (case.get("reject") or case["crash"]).get("layer")
    layer = None if number is None or other else layer_name(path, case, number)
    told = [rule for rule, layers in found.errors if layer is None or layer in layers]
    assert any(re.fullmatch(wanted, rule) for rule in told), found.errors


def test_defects_of_the_vendor_are_told(row, tmp_path):
    """Each of the 27 programs that cannot work is refused or corrected, and the user is told."""
    name, devices, _, rule = row
    entries = [
        entry
        for entry in golden_corpus.entries()
        if entry.device in devices and re.fullmatch(name, entry.name)
    ]
    if golden_corpus.golden_folder() is None:
        pytest.skip("no vectors: set AI8XC_GOLDEN or provide ../shared/golden")
    assert entries
    for entry in entries:
        case = json.loads((entry.path / "case.json").read_text())
        found = compiled(entry.path, case, tmp_path)
        assert rule in found.told
        assert found.code == (1 if rule in found.rules else 0), found.text
        assert found.code or wrong_on_emulator(case, found) == 0


def layer_name(path, case, number):
    """What a layer is called in messages: its name in the description, or its number."""
    layers = yaml.safe_load(Given(path, case).yaml.read_text())["layers"]
    return layers[number].get("name", f"layer{number}")


def obsolete(options):
    """Why options are not offered."""
    return "; ".join(f"`{name}`: {NOT_OFFERED[name][1]}" for name in options)


def assert_refused_with_reason(path, case, work, options):
    """The options as they are typed are refused, and the reason is told."""
    found = compiled(path, case, work, as_typed=True)
    assert found.code == 2
    assert f"`{options[0]}` is not offered: {NOT_OFFERED[options[0]][1]}" in found.text


def test_same_program(entry, tmp_path, record_property, monkeypatch):
    case = json.loads((entry.path / "case.json").read_text())
    gone = not_offered(case["flags"])
    deliberate = listed(entry.name, DELIBERATE)
    excuse = listed(entry.name, REFUSED) or listed(entry.name, NOT_REPRODUCED)
    large = listed(entry.id, LARGER_THAN_THE_CHIP)
    row = excuse or deliberate
    kind = "obsolete" if gone else "deliberate" if row else "identical"
    why = obsolete(gone) if gone else (row or large or (None,))[-1]
    record_property("vendor", (entry.device, (), kind, why))
    if gone:
        assert_refused_with_reason(entry.path, case, tmp_path, gone)
    found = compiled(entry.path, case, tmp_path, emit="c,registers")
    if excuse:
        assert found.code == 1
        assert found.errors
        return
    assert found.code == 0, found.text
    differing = differences(golden_corpus.Program(entry.path), found)
    assert differing == (deliberate[1] & PARTS if deliberate else set())
    assert wrong_on_emulator(case, found) == 0
    if ARM.missing or RISCV.missing:
        pytest.skip("registers are compared; the compilers for the firmware are not installed")
    assert_firmware_passes(tmp_path / "out", entry, large, monkeypatch)


def assert_firmware_passes(folder, entry, large, monkeypatch):
    """The C compiles without a warning, and the emulated chip finds the known answer."""
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, *STRICT))
    if large:
        with pytest.raises(Rejected, match="more than the chip has"):
            run_project(folder, "firmware")
        device = entry.device.lower()
        more = replace(build.MACHINES[device], flash=ENOUGH, ram=ENOUGH)
        monkeypatch.setitem(build.MACHINES, device, more)
    report = run_project(folder, "firmware")
    said = "*** DONE ***" if "__no-kat" in entry.name else "*** PASS ***"
    assert said in report.printed, report.failure or report.printed
    kinds = {finding.kind for finding in report.findings}
    reported = listed(entry.name, REPORTED)
    assert kinds == ({reported[1]} if reported else set())
    assert reported or report.passed


PARTS = {*FILES, "kernels", "biases", "input", "answer", "unload", "outputs"}


def differences(golden, found):
    """The parts of a program that are not the vendor's."""
    arrays, ours = golden.arrays, found.arrays
    differing = {
        name
        for name in golden.meta["phases"]
        if [access(*a) for a in golden.phase(name)] != found.functions[name]
    }
    pairs = {
        "kernels": (kernel_words(arrays), "weights"),
        "biases": ([arrays["bias_addr"], arrays["bias_val"]], "bias"),
        "input": (input_words(golden), "input"),
    }
    for part, (theirs, name) in pairs.items():
        if not same(theirs, [ours[f"{name}_address"], ours[f"{name}_value"]]):
            differing.add(part)
    order = np.argsort(ours["expected_address"], kind="stable")
    words = [ours[f"expected_{name}"][order] for name in ("address", "mask", "value")]
    if not same([arrays[f"kat_{name}"] for name in ("addr", "mask", "val")], words):
        differing.add("answer")
    key = "unload_words_chw" if "unload_words_chw" in arrays else "unload_words"
    if key in arrays and not np.array_equal(arrays[key], ours["unload"]):
        differing.add("unload")
    return differing


def access(address, value, mask, kind):
    """An access as `registers.json` has it."""
    if kind == 0:
        return [address, value]
    return {"op": ("", "poll", "check")[kind], "address": address, "mask": mask, "value": value}


def input_words(golden):
    """Addresses and words of the input; a FIFO's are pushed word by word to all ports."""
    arrays = golden.arrays
    if "input_addr" in arrays:
        return arrays["input_addr"], arrays["input_val"]
    ports = golden.meta["fifo_ports"]
    words = np.stack([arrays[f"fifo_{fifo}"] for fifo, *_ in ports], axis=1)
    addresses = np.tile([address for _, address, *_ in ports], len(words))
    return addresses, words.reshape(-1)


def same(theirs, ours):
    return all(np.array_equal(a, b) for a, b in zip(theirs, ours, strict=True))
