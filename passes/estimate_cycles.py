"""How many clock cycles a placed network takes, layer by layer, and what takes them.

A closed formula for MAX78000, exact integers; source: hardware semantics, section 4. Loading of
weights and input is not part of it and is counted in words apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from ai8xc.device import Device
from ai8xc.ir.core import Graph
from ai8xc.passes.hardware.kernels import kernel_counts
from ai8xc.passes.hardware.layer import HardwareLayer, first_bit
from ai8xc.passes.hardware.network import HardwareNetwork

STARTUP: Final = 1
"""Cycles before the first layer."""

Term = Literal["output", "fetch", "padding", "setup"]


@dataclass(frozen=True)
class Window:
    """The numbers of the formula; names are those of the semantics, section 4.2.

    `rows`, `columns` are pooled, as the hardware sees them; `outputs` are output slots.
    """

    passes: int
    parts: int
    pool: tuple[int, int]
    rows: int
    columns: int
    out_columns: int
    kernel: tuple[int, int]
    pad: tuple[int, int]
    outputs: int
    slots: int = 1
    flatten: bool = False
    pool_first: bool = True
    kernel_start: int = 0
    copies: bool = False


@dataclass(frozen=True)
class Cycles:
    """Cycles of a layer by cause: writing outputs, fetching data, padding, setting up."""

    output: int
    fetch: int
    padding: int
    setup: int

    @property
    def total(self) -> int:
        """All cycles of the layer."""
        return self.output + self.fetch + self.padding + self.setup

    @property
    def dominating(self) -> Term:
        """What takes the most."""
        terms: dict[Term, int] = {
            "output": self.output,
            "fetch": self.fetch,
            "padding": self.padding,
            "setup": self.setup,
        }
        return max(terms, key=lambda name: terms[name])


@dataclass(frozen=True)
class LayerEstimate:
    """One layer: its cycles, multiplications, and the share of the peak in percent.

    `estimated`: the vendor gives streaming layers as an estimate only.
    """

    name: str
    cycles: Cycles
    macs: int
    peak: int
    estimated: bool = False

    @property
    def total(self) -> int:
        """Cycles of the layer; one and a half times as many where it streams."""
        return (15 * self.cycles.total + 9) // 10 if self.estimated else self.cycles.total

    @property
    def macs_per_cycle(self) -> float:
        """Multiplications a cycle."""
        return self.macs / self.total if self.total else 0.0

    @property
    def percent(self) -> float:
        """Share of the multiplications that the device can do at most."""
        return 100 * self.macs_per_cycle / self.peak


@dataclass(frozen=True)
class Estimate:
    """A network: its layers in order of execution, and words that must be loaded before.

    `peak` are the multiplications that the device can do at most in a cycle.
    """

    layers: tuple[LayerEstimate, ...]
    weight_words: int
    input_words: int
    peak: int

    @property
    def total(self) -> int:
        """Cycles from start to done."""
        return STARTUP + sum(layer.total for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiplications of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def macs_per_cycle(self) -> float:
        """Multiplications a cycle."""
        return self.macs / self.total

    @property
    def percent(self) -> float:
        """Share of the multiplications that the device can do at most."""
        return 100 * self.macs_per_cycle / self.peak

    @property
    def dominating(self) -> LayerEstimate:
        """The layer that takes the most cycles."""
        return max(self.layers, key=lambda layer: layer.total)


def cycles(w: Window) -> Cycles:
    """Return the cycles of a layer (section 4.3, evaluated as written)."""
    passes, parts, pooled = w.passes, w.parts, prod(w.pool)
    if w.pool_first:
        edge, inner, repeats, setup = 2 * passes * parts, passes * parts * (pooled + 1), 1, 0
    else:
        edge, inner, repeats = 2 * passes, passes * (parts * pooled + 1), passes
        setup = _late_pool_setup(w)
    if w.copies:
        pixels = w.rows * w.columns
        return Cycles(pixels * passes * w.slots, pixels * inner, 0, 0)
    (r, c), (kr, kc) = w.pad, w.kernel
    side = 2 * c * (edge + 1)
    pad_row = side + repeats * w.columns * (edge + 1)
    fill_row = side + repeats * w.columns * (inner + 1)
    out = passes * w.out_columns * w.outputs
    out += w.outputs if w.outputs == 1 and passes == 1 else 0

    def body(fetch: int) -> int:
        window = repeats * (kc - 1 - c) * (fetch + 1) + repeats * (w.out_columns - c) * fetch
        return c * (edge + 1) + window + c * edge

    filling = kr - 1 - r
    whole = w.rows - filling
    flat = int(w.flatten and passes * w.rows * w.columns > 16)
    return Cycles(
        output=(whole + r) * out,
        fetch=filling * fill_row + whole * body(inner),
        padding=r * pad_row + r * body(edge),
        setup=flat + setup,
    )


def _late_pool_setup(w: Window) -> int:
    (r, c), (kr, kc) = w.pad, w.kernel
    return ((w.rows + 2 * r - kc + 1) * c + (w.columns + 2 * c - kr + 1) * r - r * c) * (
        w.kernel_start
    )


def window(layer: HardwareLayer) -> Window:
    """Return the numbers of the formula for a placed layer."""
    rows, columns = layer.pooled
    passes = layer.passes
    out_columns = layer.out_shape[2]
    if layer.operator == "none" and layer.pools and layer.out_passes > 1:
        passes = 2 * passes - 1
    if layer.operator == "transposed":
        rows, columns = 2 * rows, 2 * columns
    if layer.folded_columns:
        out_columns = columns
    start = layer.place.kernel_start or 0
    if layer.flatten:
        out_columns = columns
    return Window(
        passes=passes,
        parts=layer.op.parts,
        pool=layer.pool,
        rows=rows,
        columns=columns,
        out_columns=out_columns,
        kernel=layer.kernel if layer.convolves else (1, 1),
        pad=layer.pad if layer.convolves else (0, 0),
        outputs=_output_slots(layer),
        slots=max(1, layer.time_slots) if layer.operator == "none" else 1,
        flatten=layer.flatten,
        pool_first=layer.op.pool_first or not layer.pools,
        kernel_start=9 * start // layer.taps,
        copies=layer.operator == "none",
    )


def _output_slots(layer: HardwareLayer) -> int:
    mask, passes = layer.output_processors, layer.out_passes
    aligned = first_bit(mask) % layer.device.processors_per_memory
    span = mask.bit_length() - first_bit(mask)
    slots = span + aligned if passes == 1 else (span + 2 * aligned) * passes
    if layer.flatten:
        slots -= passes * mask.bit_count() - layer.out_shape[0]
    return slots


def multiplications(layer: HardwareLayer) -> int:
    """Return the multiplications of a layer, with its own kernel (section 4.6)."""
    if layer.weighted is None:
        return 0
    outputs, rows, columns = layer.out_shape
    if layer.flatten:
        return layer.channels * layer.flat_pixels * outputs
    return layer.channels // layer.groups * prod(layer.own_kernel) * outputs * rows * columns


def estimate(graph: Graph, device: Device) -> Estimate | None:
    """Return the cycles of a placed graph; None where no cycle model of the device is known."""
    if not device.has("cycle-model"):
        return None
    network = HardwareNetwork.of(graph, device)
    peak = device.processors * device.kernel_bytes_per_column
    found = tuple(
        LayerEstimate(
            layer.op.name,
            cycles(window(layer)),
            multiplications(layer),
            peak,
            estimated=layer.streaming,
        )
        for layer in network.sequence
    )
    return Estimate(found, _weight_words(network), _input_words(network), peak)


def _weight_words(network: HardwareNetwork) -> int:
    """Return words of the packed loader: four bytes each, without the heads of the runs."""
    layers = [layer for layer in network.sequence if layer.stores_kernels]
    per_column = network.device.kernel_bytes_per_column
    return sum(layer.lanes * -(-kernel_counts(layer).columns * per_column // 4) for layer in layers)


def _input_words(network: HardwareNetwork) -> int:
    """Return words that hold the network's input in data memory."""
    start = network.start
    _, rows, columns = start.op.in_shape
    share = network.device.processors_per_memory
    memories = {p // share for p in range(network.device.processors) if start.processors >> p & 1}
    if start.op.mode.chw:
        return len(memories) * -(-rows * columns // 4)
    return len(memories) * rows * columns * start.passes * start.op.parts
