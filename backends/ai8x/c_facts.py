"""What the C of a project depends on: the program, how it is run, and how the code is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ai8xc.backends.ai8x.c_options import CodeOptions
from ai8xc.backends.ai8x.c_unload import comment_text
from ai8xc.device import Device, load_device
from ai8xc.dialects.reg import Program
from ai8xc.dialects.settings import Settings

BOARDS: Final = {"max78000": ("EvKit_V1", "FTHR_RevA"), "max78002": ("EvKit_V1",)}
LOAD_DIVIDER: Final = 4
"""Divider of the PLL while data and weights are loaded; register description, section 5.1."""
MAX_CLASSES: Final = 4096
"""Outputs up to which the error bound of the softmax holds."""


@dataclass(frozen=True)
class Facts:
    """A register program as C; `titles` say what its layers do, by their numbers."""

    program: Program
    titles: Mapping[int, Sequence[str]] = field(default_factory=dict)
    options: CodeOptions = field(default_factory=CodeOptions)

    @property
    def name(self) -> str:
        """The name of the project: that of the graph, as a file and in a C string may have it."""
        return re.sub(r"[^A-Za-z0-9_.+-]", "_", self.program.graph.name) or "network"

    @cached_property
    def device(self) -> Device:
        """The device."""
        return load_device(self.program.device)

    @property
    def chip(self) -> str:
        """The device as the vendor writes it."""
        return self.device.name.upper()

    @property
    def board(self) -> str:
        """The board that the project is built for where nothing else is said."""
        return self.options.board or BOARDS[self.device.name][0]

    @cached_property
    def settings(self) -> Settings:
        """How the network is fed, started and run."""
        return Settings.of(self.program.graph)

    @cached_property
    def groups(self) -> list[int]:
        """The groups in use."""
        accesses = self.program.function("cnn_start").accesses
        return sorted({a.op.group for a in accesses if a.op.register == "CTL"})

    @cached_property
    def express(self) -> bool:
        """Weights are loaded packed."""
        accesses = self.program.function("cnn_init").accesses
        field = self.program.registers.register("CTL").field("express")
        return any(field.of(a.value) for a in accesses if a.op.register == "CTL")

    @property
    def pll(self) -> bool:
        """The accelerator runs on the PLL."""
        return self.device.clocks.pll > 0 and self.settings.pll

    @property
    def pipelined(self) -> bool:
        """The accelerator has a pipeline, and it is on."""
        return self.device.has("pipeline") and self.settings.pipeline

    @property
    def divider(self) -> int:
        """The clock divider while the network runs; register description, section 5.1."""
        if self.options.clock_divider is not None:
            return self.options.clock_divider
        clocks = self.device.clocks
        if self.pipelined:
            return 1
        return LOAD_DIVIDER if self.pll else 1 + (clocks.apb > clocks.max_without_pipeline)

    @property
    def balanced(self) -> bool:
        """Data and weights are loaded with a slower clock than the network runs with."""
        return self.pll and not self.options.max_speed and self.divider != LOAD_DIVIDER

    @property
    def load_divider(self) -> int:
        """The clock divider while data and weights are loaded."""
        return LOAD_DIVIDER if self.balanced else self.divider

    @property
    def scale(self) -> float:
        """The real value of one step of the first output, 0 where it is not known."""
        match self.program.graph.get("output_scales"):
            case (float(scale), *_):
                return scale
        return 0.0

    @property
    def classifies(self) -> bool:
        """There is one output for each class; of 8 bits only where that is wanted."""
        match self.program.unloads:
            case (only,) if self.options.unload and (only.wide or self.options.softmax):
                values = only.channels * only.rows * only.columns
                return values == only.channels <= MAX_CLASSES
        return False

    @property
    def flash_section(self) -> str:
        """What stands before constants that the RISC-V core reads from flash."""
        if self.settings.riscv and self.options.riscv_flash:
            return '__attribute__((section(".rvflash_section"))) '
        return ""

    @property
    def layer_titles(self) -> Mapping[int, Sequence[str]]:
        """Return what is said about each hardware layer; of a bare program, its nodes."""
        if self.titles:
            return self.titles
        found: dict[int, list[str]] = {}
        for access in self.program.function("cnn_configure").accesses:
            if self.program.registers.register(access.op.register).scope == "layer":
                nodes = comment_text(", ".join(access.op.loc.nodes))
                title = f"Layer {access.op.index}{': ' if nodes else ''}{nodes}"
                found.setdefault(access.op.index, [title])
        return found
