"""`ai8xc run`: a compiled project on the emulator, by one of two engines."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ai8xc.backends.ai8x.c_tables import output_header, sample_header
from ai8xc.backends.emulator import Emulator, Finding, LayerTrace
from ai8xc.backends.firmware.build import RISCV_MAIN, SOURCES, build, missing_compilers
from ai8xc.backends.firmware.machine import Machine, MachineError
from ai8xc.backends.firmware.outputs import (
    Difference,
    first_difference,
    in_model_shape,
    known_answer,
    read_outputs,
)
from ai8xc.backends.firmware.pack_input import pack_input, stored
from ai8xc.backends.firmware.project import Project, unusable_project
from ai8xc.backends.firmware.registers import EngineError, RegisterEngine
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array

Engine = Literal["registers", "firmware"]
COPIED = ("cnn.h", "weights.h", *SOURCES)


@dataclass(frozen=True)
class Usage:
    """What the firmware costs: instructions by function, bus accesses, bytes of flash and RAM."""

    instructions: dict[str, int]
    writes: int
    reads: int
    flash: int
    ram: int
    network_flash: int


@dataclass
class Report:
    """What a run gave.

    `passed` is None where no answer is known for the input; `failure` says why there is none.
    """

    engine: Engine
    outputs: list[Array]
    layers: list[LayerTrace]
    findings: list[Finding]
    passed: bool | None
    difference: Difference | None = None
    failure: str = ""
    printed: str = ""
    usage: Usage | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)


def run_project(folder: Path, engine: Engine, sample: Array | None = None) -> Report:
    """Run a project on its own sample, or on another input.

    Without the compiler for Arm, engine `firmware` gives a warning and the registers are used.
    Raises `Rejected` where project or input cannot be used.
    """
    project = Project.read(folder)
    if sample is not None:
        layout = project.facts["network"]["input"]
        project = project.with_sample(pack_input(layout, stored(layout, sample)))
    absent = missing_compilers(folder) if engine == "firmware" else []
    if engine == "firmware" and not absent:
        report = _on_firmware(folder, project, sample is not None)
    else:
        report = _on_registers(project, sample is not None)
        report.diagnostics += absent
    report.outputs = in_model_shape(project, report.outputs)
    return report


def run_many(folder: Path, samples: Array) -> list[list[Array]]:
    """Return the outputs of many samples, by the registers."""
    project = Project.read(folder)
    engine = RegisterEngine(project)
    layout = project.facts["network"]["input"]
    found = []
    for sample in samples:
        engine.run(pack_input(layout, stored(layout, sample)))
        found.append(in_model_shape(project, read_outputs(project, engine.words)))
    return found


def _on_registers(project: Project, other: bool) -> Report:
    engine = RegisterEngine(project)
    try:
        engine.run(project.sample)
    except EngineError as error:
        return _failed("registers", engine.emulator, str(error))
    outputs = read_outputs(project, engine.words)
    report = _report("registers", engine.emulator, outputs)
    if not other and project.expected():
        _judge(report, project)
    return report


def _on_firmware(folder: Path, project: Project, other: bool) -> Report:
    """Run the C; for another input the answer is that of the register engine."""
    with tempfile.TemporaryDirectory(prefix="ai8xc-") as name:
        work = Path(name)
        source = folder
        if other:
            project, source = _with_answer(project), work / "project"
            _write_project(folder, project, source)
        (work / "objects").mkdir()
        machine = Machine(build(source, project.device, work / "objects"), project.device)
    try:
        status = machine.run()
    except MachineError as error:
        report = _failed("firmware", machine.emulator, str(error))
        report.printed = machine.output
        return report
    outputs = read_outputs(project, machine.emulator.read_block)
    report = _report("firmware", machine.emulator, outputs)
    report.findings += machine.findings
    report.printed = machine.output
    report.usage = _usage(machine)
    _judge(report, project)
    if status and report.passed:
        report.passed, report.failure = False, "the firmware reports a failure"
    return report


def _usage(machine: Machine) -> Usage:
    profile, size = machine.network_profile, machine.size
    names = (name for name in profile.spent if name.startswith("cnn_") or name == "load_input")
    spent = {name: profile.spent[name] for name in sorted(names)}
    second = size.second
    return Usage(
        spent,
        machine.bus.writes,
        machine.bus.reads,
        size.text + size.data,
        size.data + size.bss + (second.data + second.bss if second else 0),
        (second or size).network_text,
    )


def _report(engine: Engine, emulator: Emulator, outputs: list[Array]) -> Report:
    return Report(engine, outputs, emulator.layers, list(emulator.findings), None)


def _failed(engine: Engine, emulator: Emulator, why: str) -> Report:
    return Report(engine, [], emulator.layers, list(emulator.findings), False, failure=why)


def _judge(report: Report, project: Project) -> None:
    """Compare with the known answer; findings that change results fail the run too."""
    expected = read_outputs(project, known_answer(project))
    report.difference = first_difference(project, expected, report.outputs)
    wrong = [finding for finding in report.findings if finding.changes_results]
    report.passed = report.difference is None and not wrong


def _with_answer(project: Project) -> Project:
    """Return the project with the answer that the register engine gives."""
    engine = RegisterEngine(project)
    engine.run(project.sample)
    runs: list[Array] = []
    for address, mask, words in project.expected():
        found = engine.words(address, len(words)) & np.uint32(mask)
        runs += [np.array([address, mask, len(words)], np.uint32), found]
    answer = np.concatenate([*runs, np.zeros(1, np.uint32)])
    tables: dict[str, Any] = {**project.tables, "SAMPLE_OUTPUT": answer}
    return Project(project.facts, tables)


def _write_project(folder: Path, project: Project, target: Path) -> None:
    """Copy the C files, unchanged, with the data of another sample."""
    target.mkdir()
    riscv = (RISCV_MAIN,) if (folder / RISCV_MAIN).is_file() else ()
    for name in (*COPIED, *riscv):
        try:
            (target / name).write_bytes((folder / name).read_bytes())
        except OSError as error:
            why = f"`{name}`: {error.strerror}"
            raise unusable_project(folder, why) from None
    tables = project.tables
    sample = {name: words for name, words in tables.items() if name.startswith("SAMPLE_INPUT_")}
    (target / "sampledata.h").write_text(sample_header(sample))
    answer = {"SAMPLE_OUTPUT": tables["SAMPLE_OUTPUT"]}
    (target / "sampleoutput.h").write_text(output_header(answer))
