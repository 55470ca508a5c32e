"""How a network is fed, started and run: facts of a graph that belong to no layer.

They are attributes of the graph of the hardware level, so text shows them; those that have their
default are left out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ai8xc.ir.core import Graph, Mask

InputMode = Literal["memory", "fifo", "fast-fifo", "fast-fifo-quad"]
UnloadEntry = tuple[Mask, int, int, int, int, int, int]
"""Processors, channels, rows, columns, offset in bytes, gap in words, and bits of each value."""


@dataclass(frozen=True)
class Settings:
    """What the vendor calls options of a run; source: register description, sections 3 to 6.

    `fifo_wait`: poll before each push; `fifo_go`: start before the first push.
    `average_rounding`: average pooling rounds. `express`: the packed kernel loader.
    `zero_memories`: clear all memories first. `write_zeros`: write registers that are 0
    too. `repeat`: the layers are configured so many times.
    `link_layers`: every layer names the next one. `snoop`: values of the snooper registers.
    `overlap`: layers may write where data are still read; that they do so in time is not checked.
    `in_place`: they may write over their own input where they provably have read it; layers that
    read what was streamed always may, as for the vendor's tool.
    `start_layer`, `stop_after`: numbers of the first and the last layer. `one_shot`: stop behind
    each layer and continue.
    `riscv`: the RISC-V core runs the network, the Arm core only starts it. `mlator`: the byte
    transposer unloads. `energy`: measure energy instead of time; `timer`: the timer that measures.
    `boost`: `PORT.PIN` that boosts the supply. `stop_start`: stop once and continue. `prefix`: the
    first part of the names in C, so that several networks fit one image. `unload`: what the
    unload function copies, in this order, in place of the outputs.
    `stream_...`: manual values for the counters of the start layer, and (`more`) amounts added to
    those of the others.
    """

    input_mode: InputMode = "memory"
    fifo_wait: bool = True
    fifo_go: bool = False
    pipeline: bool = True
    pll: bool = True
    average_rounding: bool = False
    external_ready: bool = False
    express: bool = True
    simple1b: bool = False
    one_shot: bool = False
    power_down: bool = False
    zero_memories: bool = False
    write_zeros: bool = False
    repeat: int = 1
    link_layers: bool = False
    snoop: tuple[int, ...] = ()
    overlap: bool = False
    in_place: bool = True
    start_layer: int = 0
    stop_after: int | None = None
    riscv: bool = False
    mlator: bool = False
    energy: bool = False
    timer: int = 0
    boost: str = ""
    stop_start: bool = False
    prefix: str = ""
    unload: tuple[UnloadEntry, ...] = ()
    stream_start: int | None = None
    stream_delta1: int | None = None
    stream_delta2: int | None = None
    stream_rollover: int | None = None
    stream_more_start: int = 2
    stream_more_delta1: int = 0
    stream_more_delta2: int = 0

    @property
    def fifo(self) -> bool:
        """The input is pushed into FIFOs instead of being written to the data memories."""
        return self.input_mode != "memory"

    @property
    def fast_fifo(self) -> bool:
        """The input goes through the fast FIFO of the RISC-V core."""
        return self.input_mode.startswith("fast-fifo")

    @property
    def quad(self) -> bool:
        """The fast FIFO feeds the start layer on four groups at once."""
        return self.input_mode == "fast-fifo-quad"

    @classmethod
    def of(cls, graph: Graph) -> Settings:
        """Return the settings of a graph."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in graph.attributes if key in known})  # type: ignore[arg-type] # attributes are typed by their names

    def on(self, graph: Graph) -> Graph:
        """Return the graph with these settings; those with their default are not written."""
        fields = dataclasses.fields(self)
        values = {field.name: getattr(self, field.name) for field in fields}
        changed = {f.name: values[f.name] for f in fields if values[f.name] != f.default}
        return graph.having(**dict.fromkeys(values)).having(**changed)
