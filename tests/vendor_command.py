"""Vendor vectors through the command line: the description and its inputs in, files out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import golden_corpus
import numpy as np
from click.testing import CliRunner
from golden_options import Given

from ai8xc.backends.emulator import Emulator
from ai8xc.cli.main import cli
from ai8xc.cli.vendor_table import NOT_OFFERED
from ai8xc.ir.types import Array

NAME = re.compile(r"`([^`]*)`")


def not_offered(flags: list[str]) -> list[str]:
    """The options of the vendor's tool that are not offered here."""
    return [flag for flag in flags if flag in NOT_OFFERED]


def typed(flags: list[str]) -> list[str]:
    """The vendor's arguments exactly as typed, without those that are not offered."""
    found = list(flags)
    for name in not_offered(flags):
        at = found.index(name)
        del found[at : at + 1 + NOT_OFFERED[name][0]]
    return found


@dataclass
class Outcome:
    """What the command did: exit code, errors (rule, names in the text), all rules told, files."""

    code: int
    text: str
    errors: list[tuple[str, list[str]]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    functions: dict[str, list[Any]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    @property
    def rules(self) -> list[str]:
        """The rules of the errors."""
        return [rule for rule, _ in self.errors]


def compiled(
    folder: Path,
    case: dict[str, Any],
    work: Path,
    *more: str,
    emit: str = "registers",
    as_typed: bool = False,
) -> Outcome:
    """Run `ai8xc compile` on a vector; `as_typed`: also with options that are not offered."""
    given = Given(folder, case)
    np.save(work / "sample.npy", given.sample)
    arguments = ["compile", str(given.yaml), "--weights", str(given.weights)]
    arguments += ["--sample", str(work / "sample.npy"), "--device", case["device"]]
    arguments += ["-o", str(work / "out"), "--force", "--emit", emit, "--format", "json"]
    arguments += ["--bias", str(given.bias)] if given.bias else []
    skip = ",".join(given.options.skip.patterns)
    arguments += ["--skip-weights", skip] if skip else []
    flags = given.flags if as_typed else typed(given.flags)
    result = CliRunner().invoke(cli, [*arguments, *flags, *more])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    outcome = Outcome(result.exit_code, result.output)
    if result.exit_code != 2 or result.stderr.startswith("{"):
        told = json.loads(result.stderr)["diagnostics"]
        outcome.errors = [
            (d["rule"], NAME.findall(f"{d['location']} {d['message']}"))
            for d in told
            if d["severity"] == "error"
        ]
        outcome.told = {d["rule"] for d in told}
    if result.exit_code == 0:
        content = json.loads((work / "out" / "registers.json").read_text())
        outcome.functions = {f["name"]: f["writes"] for f in content["functions"]}
        with np.load(work / "out" / "memory.npz") as stored:
            outcome.arrays = {name: stored[name] for name in stored.files}
    return outcome


def wrong_on_emulator(case, found):
    """How many words of the known answer the files do not give on the emulator."""
    emulator, arrays = Emulator(case["device"]), found.arrays
    play(emulator, found.functions["cnn_init"])
    write(emulator, arrays, "weights")
    write(emulator, arrays, "bias")
    play(emulator, found.functions["cnn_configure"])
    pushes = "fifo" in case.get("input_mode", "")
    if not pushes:
        write(emulator, arrays, "input")
    play(emulator, found.functions["cnn_start"])
    if pushes:
        write(emulator, arrays, "input")
    words = zip(
        *(arrays[f"expected_{n}"].tolist() for n in ("address", "mask", "value")), strict=True
    )
    while not emulator.idle and case.get("flags") == ["--one-shot"]:
        play(emulator, found.functions["cnn_continue"])
    return sum(emulator.read(address) & mask != value for address, mask, value in words)


def resume(case, emulator):
    """Go on with the next layer until the last one has run."""
    for _ in range(case["terminating_layer"]):
        golden_corpus.modify(case["misc_ops"], "CNN_ISR", emulator)
        golden_corpus.modify(case["misc_ops"], "cnn_continue", emulator)


def play(emulator, accesses):
    """Execute accesses of `registers.json`."""
    for one in accesses:
        if isinstance(one, list):
            emulator.write(*one)
        else:
            assert emulator.read(one["address"]) & one["mask"] == one["value"]


def write(emulator, arrays, name):
    """Write an image, runs of words at once."""
    address = arrays[f"{name}_address"].astype(np.int64)
    value = arrays[f"{name}_value"]
    if len(np.unique(address)) < len(address):
        for place, word in zip(address.tolist(), value.tolist(), strict=True):
            emulator.write(place, word)  # a FIFO
        return
    cuts = np.flatnonzero(np.diff(address) != 4) + 1
    for places, words in zip(np.split(address, cuts), np.split(value, cuts), strict=True):
        if len(places):
            emulator.write_block(int(places[0]), words)
