"""The backend that the devices of the family share: from placed layers to files."""

from __future__ import annotations

import re
from typing import ClassVar

from ai8xc.backends.ai8x import lower_to_reg as _lower_to_reg  # noqa: F401 - makes the pass known
from ai8xc.backends.ai8x.c_layers import layer_titles
from ai8xc.backends.ai8x.c_options import CodeOptions
from ai8xc.backends.ai8x.check_description import Wishes
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.ai8x.emit_facts import facts
from ai8xc.backends.ai8x.emit_layers import layer_arrays
from ai8xc.backends.ai8x.emit_registers import archive, memory_arrays, registers_file
from ai8xc.backends.ai8x.emit_yaml import ALLOCATE, vendor_files
from ai8xc.backends.base import Backend, Output
from ai8xc.dialects.reg import Program
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import PassContext
from ai8xc.ir.prove import feed
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.sample import Sample, SampleSums
from ai8xc.passes.pipelines import PIPELINES


class Ai8xBackend(Backend):
    """Layers are made and placed, or given with their placement; then registers are written."""

    pipeline: ClassVar[str] = "layers,allocate-biases,lower-to-reg"
    lowering: ClassVar[str] = "allocate-kernels,check-placement,allocate-biases,lower-to-reg"
    replacing: ClassVar[str] = "replace,allocate-biases,lower-to-reg"
    level: ClassVar[str] = "reg"
    emits: ClassVar[frozenset[str]] = frozenset({"c", "registers", "yaml", "layers"})

    def as_vendor(self, pipeline: str) -> str:
        """Return passes that place kernels as the vendor's tool does.

        No layer computes four outputs at once: the tool may store two of their kernels in one
        column.
        """
        if "allocate-kernels" in pipeline:
            return pipeline.replace("allocate-biases", "check-description,allocate-biases")
        for name in ("layers", "replace"):
            pipeline = re.sub(rf"(?<![\w-]){name}(?![\w-])", PIPELINES[name], pipeline)
        pipeline = pipeline.replace("fit-joins", "fit-joins{turns=false}")
        pipeline = pipeline.replace("choose-modes", "choose-modes{calcx4=false}")
        return pipeline.replace("allocate-biases", ALLOCATE)

    def emit(self, kind: str, graph: Graph, ctx: PassContext, out: Output) -> None:
        """Add the files of one kind."""
        program = Program.of(graph)
        network = ctx.find(HardwareNetwork)
        options = ctx.find(CodeOptions) or CodeOptions()
        project = CProject(program, layer_titles(network) if network else {}, options)
        out.facts = facts(project, network, ctx.find(SampleSums))
        if kind == "c":
            for name, text in project.files().items():
                out.text(name, text)
            return
        if kind == "yaml" and network is not None:
            sample = ctx.find(Sample)
            given = feed(network.graph, sample.values) if sample is not None else {}
            value = next(iter(given.values()), None)
            wishes = ctx.find(Wishes) or Wishes()
            files = vendor_files(network.graph, network.device, value, wishes)
            for name, content in files.items():
                out.data(name, content)
            return
        if kind == "layers" and network is not None:
            sample = ctx.find(Sample)
            arrays = layer_arrays(network, sample) if sample is not None else {}
            out.data("layers.npz", archive(arrays))
            return
        out.text("registers.json", registers_file(program))
        out.data("memory.npz", archive(memory_arrays(program)))
