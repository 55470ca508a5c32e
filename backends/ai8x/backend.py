"""The backend that the devices of the family share: from placed layers to files."""

from __future__ import annotations

from typing import ClassVar

from ai8xc.backends.ai8x import lower_to_reg as _lower_to_reg  # noqa: F401 - makes the pass known
from ai8xc.backends.ai8x.c_layers import layer_titles
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.ai8x.emit_facts import facts
from ai8xc.backends.ai8x.emit_registers import archive, memory_arrays, registers_file
from ai8xc.backends.base import Backend, Output
from ai8xc.dialects.reg import Program
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import PassContext
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.sample import SampleSums


class Ai8xBackend(Backend):
    """Layers are made and placed, or given with their placement; then registers are written."""

    pipeline: ClassVar[str] = "layers,allocate-biases,lower-to-reg"
    lowering: ClassVar[str] = "allocate-kernels,check-placement,allocate-biases,lower-to-reg"
    replacing: ClassVar[str] = "replace,allocate-biases,lower-to-reg"
    level: ClassVar[str] = "reg"
    emits: ClassVar[frozenset[str]] = frozenset({"c", "registers"})

    def emit(self, kind: str, graph: Graph, ctx: PassContext, out: Output) -> None:
        """Add the files of one kind."""
        program = Program.of(graph)
        network = ctx.find(HardwareNetwork)
        project = CProject(program, layer_titles(network) if network else {})
        out.facts = facts(project, network, ctx.find(SampleSums))
        if kind == "c":
            for name, text in project.files().items():
                out.text(name, text)
            return
        out.text("registers.json", registers_file(program))
        out.data("memory.npz", archive(memory_arrays(program)))
