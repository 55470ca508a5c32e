"""The backend that the devices of the family share: from placed layers to files."""

from __future__ import annotations

from typing import ClassVar

from ai8xc.backends.ai8x import lower_to_reg as _lower_to_reg  # noqa: F401 - makes the pass known
from ai8xc.backends.ai8x.emit_registers import archive, memory_arrays, registers_file
from ai8xc.backends.base import Backend, Output
from ai8xc.dialects.reg import Program
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import PassContext


class Ai8xBackend(Backend):
    """Placement is done, or given: allocate kernels and biases, then write registers."""

    pipeline: ClassVar[str] = ""
    lowering: ClassVar[str] = "allocate-kernels,allocate-biases,lower-to-reg"
    level: ClassVar[str] = "reg"
    emits: ClassVar[frozenset[str]] = frozenset({"registers"})

    def emit(self, kind: str, graph: Graph, ctx: PassContext, out: Output) -> None:
        """Add the files of one kind."""
        program = Program.of(graph)
        out.text("registers.json", registers_file(program))
        out.data("memory.npz", archive(memory_arrays(program)))
