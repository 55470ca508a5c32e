"""The register engine: a project's tables and register accesses, straight on the emulator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ai8xc.backends.emulator import Emulator
from ai8xc.backends.firmware.outputs import OutputReader, read_outputs
from ai8xc.backends.firmware.project import Project
from ai8xc.dialects.reg import Program
from ai8xc.ir.core import Graph
from ai8xc.ir.prove import ProofFailed
from ai8xc.ir.types import Array
from ai8xc.registers import load_registers


def outputs_of(graph: Graph) -> list[Array]:
    """Return the outputs of a register program for the sample that it holds.

    Raises ProofFailed where the emulator saw what makes them a matter of luck: words that were
    never written, or were overwritten before they were read.
    """
    project = Project.of(Program.of(graph))
    engine = RegisterEngine(project)
    engine.run(project.sample)
    outputs = read_outputs(project, engine.words)
    doubts = [str(found) for found in engine.emulator.findings if found.changes_results]
    if doubts:
        raise ProofFailed(f"the emulator says of the register program: {doubts[0]}")
    return outputs


class EngineError(Exception):
    """The program does not end: a condition that it waits for never comes, or no interrupt."""


class RegisterEngine:
    """Loads a project once and runs it on any number of inputs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.emulator = Emulator(project.device)
        self._unloads = OutputReader(project, project.unloads)
        self._registers = load_registers(project.device)
        self._call("cnn_init")
        self._load_kernels()
        for group, data in project.biases.items():
            start = self._registers.memory("bias").address(group)
            self.emulator.write_block(start, data.astype(np.uint32))
        self._call("cnn_configure")

    def run(self, sample: dict[int, Array]) -> None:
        """Run the network on input words; raises EngineError when it does not end."""
        layout = self.project.facts["network"]["input"]
        if layout["fifos"]:
            self._call("cnn_start")
            for row in zip(*(sample[fifo].tolist() for fifo in layout["fifos"]), strict=True):
                for fifo, word in zip(layout["fifos"], row, strict=True):
                    self.emulator.push(fifo, word)
        else:
            for number, address in layout["blocks"]:
                self.emulator.write_block(address, sample[number])
            self._call("cnn_start")
        if not self.emulator.interrupt:
            raise EngineError("the network does not finish")
        for _ in range(self._stops()):
            self._call("CNN_ISR")
            self._call("cnn_continue")
        self._call("CNN_ISR")

    def outputs(self) -> list[Array]:
        """Return what the last run has to be unloaded, channels x rows x columns."""
        return self._unloads.read(self.words)

    def _stops(self) -> int:
        """Return how often the network stops between layers: never but in one-shot mode."""
        ctl = self._registers.register("CTL").fields.get("one_shot")
        if ctl is None or not ctl.of(self.emulator.read(self._registers.address("CTL"))):
            return 0
        writes = (w for w in self.project.functions["cnn_configure"] if isinstance(w, list))
        places = (self._registers.locate(address) for address, _ in writes)
        return len({p.layer for p in places if p and p.register.scope == "layer"}) - 1

    def words(self, address: int, count: int) -> Array:
        """Return words of the data memories."""
        return self.emulator.read_block(address, count)

    def _load_kernels(self) -> None:
        words = self.project.tables["KERNELS"]
        at = 0
        while at + 2 <= len(words) and words[at]:
            address, count = int(words[at]), int(words[at + 1])
            if self.project.express:
                self.emulator.write_byte(address | 1, 1)
            self.emulator.write_block(address, words[at + 2 : at + 2 + count])
            at += 2 + count

    def _call(self, function: str) -> None:
        for access in self.project.functions.get(function, ()):
            self._access(access, function)

    def _access(self, access: Any, function: str) -> None:
        if isinstance(access, list):
            address, value = access
            self.emulator.write(address, value)
            return
        address, mask, value = access["address"], access["mask"], access["value"]
        word = self.emulator.read(address)
        if access["op"] == "modify":
            self.emulator.write(address, word & ~mask | value)
        elif word & mask != value:
            raise EngineError(f"`{function}` waits in vain for a register at {address:#x}")
