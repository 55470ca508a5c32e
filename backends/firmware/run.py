"""`ai8xc run`: a compiled project on the emulator, by one of two engines."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np

from ai8xc.backends.ai8x.c_tables import output_header, sample_header
from ai8xc.backends.ai8x.unload import unload_words
from ai8xc.backends.emulator import Emulator, Finding, LayerTrace
from ai8xc.backends.firmware.build import build, missing_compilers
from ai8xc.backends.firmware.machine import Machine, MachineError
from ai8xc.backends.firmware.names import MANIFEST, Names
from ai8xc.backends.firmware.outputs import (
    Difference,
    OutputReader,
    ReadWords,
    first_difference,
    in_model_shape,
    known_answer,
)
from ai8xc.backends.firmware.pack_input import pack_input, stored
from ai8xc.backends.firmware.project import Project, edited_files, unusable_project
from ai8xc.backends.firmware.registers import EngineError, RegisterEngine
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Array

Engine = Literal["registers", "firmware"]


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
    `suspect` names the first layer that does not give what it gave when the model was compiled.
    """

    device: str
    engine: Engine
    outputs: list[Array]
    layers: list[LayerTrace]
    findings: list[Finding]
    passed: bool | None
    difference: Difference | None = None
    suspect: str = ""
    failure: str = ""
    printed: str = ""
    usage: Usage | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def cycles(self) -> int | None:
        """Cycles of all layers on the accelerator; None where no model of them exists."""
        known = [layer.cycles for layer in self.layers if layer.cycles is not None]
        return sum(known) if self.layers and len(known) == len(self.layers) else None


def run_project(folder: Path, engine: Engine, sample: Array | None = None) -> Report:
    """Run a project on its own sample, or on another input.

    Without the compiler for Arm, engine `firmware` gives a warning and the registers are used.
    Raises `Rejected` where project or input cannot be used.
    """
    project = Project.read(folder)
    edited = edited_files(folder, project.facts)
    if sample is not None:
        layout = project.facts["network"]["input"]
        project = project.with_sample(pack_input(layout, stored(layout, sample)))
    absent = missing_compilers(folder) if engine == "firmware" else []
    if engine == "firmware" and not absent:
        other = sample is not None or not project.expected()
        report = _on_firmware(folder, project, other)
    else:
        report = _on_registers(project, sample is not None)
        report.diagnostics += absent
    report.diagnostics += edited
    if report.passed is False and sample is None:
        report.suspect = first_wrong_layer(project, report.layers)
    report.outputs = in_model_shape(project, report.outputs)
    return report


@dataclass
class ManyReport:
    """What many samples gave: the stacked outputs, and what the sanitizer saw."""

    device: str
    engine: Engine
    outputs: list[Array]
    findings: list[Finding]
    diagnostics: list[Diagnostic]
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether all samples ran, and no finding changes results."""
        return not self.failure and not any(finding.changes_results for finding in self.findings)

    @property
    def classes(self) -> Array:
        """The position of the largest value of the first output, for each sample."""
        first = self.outputs[0]
        return np.asarray(first.reshape(len(first), -1).argmax(axis=1))


def run_many(folder: Path, engine: Engine, samples: Array) -> ManyReport:
    """Run many inputs, one behind the other, on a program that is loaded once.

    Raises `Rejected` where project or inputs cannot be used.
    """
    project = Project.read(folder)
    diagnostics = edited_files(folder, project.facts)
    layout = project.facts["network"]["input"]
    packed = (pack_input(layout, stored(layout, sample)) for sample in samples)
    absent = missing_compilers(folder) if engine == "firmware" else []
    diagnostics += absent
    if absent:
        engine = "registers"
    findings: list[Finding] = []
    runs = _many_on_firmware if engine == "firmware" else _many_on_registers
    found: list[list[Array]] = []
    failure = ""
    try:
        for run in runs(folder, project, packed, findings):
            found.append(in_model_shape(project, run))
    except (EngineError, MachineError) as error:
        failure = f"sample {len(found)}: {error}"
    outputs = [np.stack(values) for values in zip(*found, strict=True)]
    return ManyReport(project.device, engine, outputs, findings, diagnostics, failure)


Packed = Iterator[dict[int, Array]]


def _many_on_registers(
    folder: Path, project: Project, packed: Packed, findings: list[Finding]
) -> Iterator[list[Array]]:
    engine = RegisterEngine(project)
    for sample in packed:
        engine.run(sample)
        yield engine.outputs()
    findings += engine.emulator.findings


def _many_on_firmware(
    folder: Path, project: Project, packed: Packed, findings: list[Finding]
) -> Iterator[list[Array]]:
    """Call the functions of `cnn.c` and `load_input` as `main` does, once for each sample."""
    machine = _machine(folder, project)
    own = machine.prefix or "cnn"
    machine.call(f"{own}_enable", 0, 0)
    for function in ("init", "load_weights", "load_bias", "configure"):
        machine.call(f"{own}_{function}")
    order = ["load_input", f"{own}_start"]
    if project.facts["network"]["input"]["fifos"]:
        order.reverse()
    reader = OutputReader(project, project.unloads)
    for sample in packed:
        for number, words in sample.items():
            machine.store(f"input_{number}", words)
        for function in order:
            machine.call(function)
        machine.wait()
        if machine.unloads:
            machine.call(f"{own}_unload", machine.symbol("outputs"))
        outputs = reader.read(machine.emulator.read_block)
        _check_unloaded(machine, outputs)
        yield outputs
    findings += [*machine.emulator.findings, *machine.findings]


def _machine(folder: Path, project: Project) -> Machine:
    with tempfile.TemporaryDirectory(prefix="ai8xc-") as name:
        return Machine(build(folder, project.device, Path(name)), project.device)


def _check_unloaded(machine: Machine, outputs: list[Array]) -> None:
    """Raise MachineError where the buffer of `cnn_unload` is not what the memories hold."""
    if not machine.unloads:
        return
    wanted = unload_words(outputs)
    if not np.array_equal(machine.words("outputs", len(wanted)), wanted):
        raise MachineError("`cnn_unload` returns other values than the data memories hold")


def _on_registers(project: Project, other: bool) -> Report:
    engine = RegisterEngine(project)
    try:
        engine.run(project.sample)
    except EngineError as error:
        return _failed(project, "registers", engine.emulator, str(error))
    report = _report(project, "registers", engine.emulator, engine.outputs())
    if not other and project.expected():
        _judge(report, project, engine.words)
    return report


def _on_firmware(folder: Path, project: Project, other: bool) -> Report:
    """Run the C; for another input the answer is that of the register engine."""
    with tempfile.TemporaryDirectory(prefix="ai8xc-") as name:
        source = folder
        if other:
            project, source = _with_answer(project), Path(name) / "project"
            _write_project(folder, project, source)
        machine = _machine(source, project)
    try:
        status = machine.run()
        read = machine.emulator.read_block
        outputs = OutputReader(project, project.unloads).read(read)
        _check_unloaded(machine, outputs)
    except MachineError as error:
        report = _failed(project, "firmware", machine.emulator, str(error))
        report.printed = machine.output
        return report
    report = _report(project, "firmware", machine.emulator, outputs)
    report.findings += machine.findings
    report.printed = machine.output
    report.usage = _usage(machine)
    _judge(report, project, read)
    if status and report.passed:
        report.passed, report.failure = False, "the firmware reports a failure"
    return report


def _usage(machine: Machine) -> Usage:
    profile, size = machine.network_profile, machine.size
    network = f"{machine.prefix or 'cnn'}_"
    names = (name for name in profile.spent if name.startswith(network) or name == "load_input")
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


def _report(project: Project, engine: Engine, emulator: Emulator, outputs: list[Array]) -> Report:
    findings = list(emulator.findings)
    return Report(project.device, engine, outputs, emulator.layers, findings, None)


def _failed(project: Project, engine: Engine, emulator: Emulator, why: str) -> Report:
    report = _report(project, engine, emulator, [])
    report.passed, report.failure = False, why
    return report


def _judge(report: Report, project: Project, read: ReadWords) -> None:
    """Compare with the known answer; findings that change results fail the run too."""
    reader = OutputReader(project, project.outputs)
    expected = reader.read(known_answer(project, read))
    report.difference = first_difference(project, expected, reader.read(read))
    wrong = [finding for finding in report.findings if finding.changes_results]
    report.passed = report.difference is None and not wrong


def first_wrong_layer(project: Project, layers: list[LayerTrace]) -> str:
    """Return the first layer and channel whose checksum is not that of the manifest.

    Layers that the hardware sees in another shape (passes as rows) are left out.
    """
    known = {entry.get("number"): entry for entry in project.facts.get("layers", [])}
    for trace in layers:
        entry = known.get(trace.index, {})
        if list(trace.output.shape) != entry.get("shape"):
            continue
        sums = str(entry.get("sample_crc32", "")).split()
        found = [f"{crc32(np.ascontiguousarray(plane).tobytes()):08x}" for plane in trace.output]
        wrong = [n for n, (a, b) in enumerate(zip(sums, found, strict=False)) if a != b]
        if wrong:
            nodes = ", ".join(entry.get("nodes") or [entry["name"]])
            return f"layer {trace.index} ({nodes}), channel {wrong[0]}"
    return ""


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
    for path in sorted((*folder.glob("*.c"), *folder.glob("*.h"))):
        try:
            (target / path.name).write_bytes(path.read_bytes())
        except OSError as error:
            why = f"`{path.name}`: {error.strerror}"
            raise unusable_project(folder, why) from None
    tables = project.tables
    sample = {name: words for name, words in tables.items() if name.startswith("SAMPLE_INPUT_")}
    names = Names.of(folder)
    (target / names.file("sampledata.h")).write_text(sample_header(sample))
    answer = {"SAMPLE_OUTPUT": tables["SAMPLE_OUTPUT"]}
    (target / names.file("sampleoutput.h")).write_text(output_header(answer))
    shutil.copy(folder / MANIFEST, target)
