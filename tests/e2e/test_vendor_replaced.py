"""`compile --replace` on the vendor's networks: same outputs, never dearer than by hand.

Each network is placed anew from its description; its program runs on the emulator. What cannot be
placed anew is listed with the reason. The default run is a sample; `--golden-all` runs all.
"""

import json

import golden_corpus
import numpy as np
import pytest
from golden_differences import REFUSED, listed
from golden_rules import NOT_REPRODUCED
from vendor_command import compiled, wrong_on_emulator

EVERY = 25  # of the sampled run

NOT_PLACED = {
    "AX117": "the input of the network holds several operands, side by side in each memory",
    "AX140": "a snooper, counters given by hand, repetition or quad mode depend on the placement",
    "DW-GAPS": "the processors of the FIFOs have gaps, which a depthwise layer cannot move",
    "FIFO-PROC": "the FIFO feeds processors that the rest of the network does not fit",
}
"""Rules for which a network keeps its placement."""

DEARER = [
    (r"test-passthrough-2(-pool)?", "cycles", "one copying layer whose input lies in one group"),
    (r"test-ai85-cifar10-hwc-3x3s2p2avgpool(__.*)?|test-faceid(__.*)?", "kernel_columns",
     "the data memory, which comes first, needs less"),
]  # fmt: skip


def pytest_generate_tests(metafunc):
    golden_corpus.give_entries(metafunc, lambda: golden_corpus.every(EVERY))


def test_placed_anew(entry, tmp_path, record_property):
    case = json.loads((entry.path / "case.json").read_text())
    if listed(entry.name, REFUSED) or listed(entry.name, NOT_REPRODUCED):
        pytest.skip("refused, with a reason")
    found = compiled(entry.path, case, tmp_path, "--replace")
    reasons = tuple(sorted(set(found.rules) & set(NOT_PLACED)))
    record_property("replaced", (entry.device, reasons, "not placed" if reasons else "equal", None))
    if found.code:
        assert reasons, found.text
        return
    assert wrong_on_emulator(case, found) == 0
    theirs = golden_corpus.Program(entry.path).arrays
    ours = [found.arrays[name] for name in found.arrays if name.startswith("output")]
    for number, value in zip(case["output_layers"], ours, strict=True):
        if f"out_{number}" in theirs:
            assert np.array_equal(theirs[f"out_{number}"].ravel(), value.ravel())
    manifest = json.loads((tmp_path / "out" / "ai8xc.json").read_text())
    before, after = (manifest["replaced"][when] for when in ("before", "after"))
    dearer = {name for name in ("cycles", "layers", "kernel_columns") if more(before, after, name)}
    excused = {what for pattern, what, _ in DEARER if listed(entry.name, [(pattern,)])}
    assert dearer <= excused


def more(before, after, name):
    """Whether a number has grown."""
    return None not in (before[name], after[name]) and after[name] > before[name]
