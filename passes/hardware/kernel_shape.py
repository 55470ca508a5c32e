"""How many kernels a layer fetches and how many columns it fills: numbers, no weights, no places.

Placement asks before a layer has a place, registers and packing when it has one: both get their
counts here. Source: memory description, sections 1.2 to 1.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class KernelCounts:
    """Kernels of one processor: `fetched` and `outputs` go into registers, `columns` are needed.

    Both count kernels of the layer's weight width; source: memory description, section 1.6.
    """

    columns: int
    fetched: int
    outputs: int


@dataclass(frozen=True)
class KernelShape:
    """What the numbers follow from.

    `mask` are the processors that hold the output, `per_memory` of which share a memory. `values`
    are the weights that a matrix on several pixels has for one output and processor, else 0.
    `quad` kernels are dealt out to four groups of processors, `quartered` ones (calcx4) to four
    memories.
    """

    bits: int
    taps: int
    outputs: int
    passes: int
    mask: int
    per_memory: int = 4
    values: int = 0
    depthwise: bool = False
    quad: bool = False
    quartered: bool = False
    column_bytes: int = 9

    @cached_property
    def lanes(self) -> int:
        """Outputs of a pass."""
        return self.mask.bit_count()

    @cached_property
    def out_passes(self) -> int:
        """Output passes."""
        return -(-self.outputs // self.lanes)

    @cached_property
    def skipped(self) -> int:
        """Outputs fetched in front of the first: fetching begins at a multiple of four."""
        return self._first % self.per_memory

    @cached_property
    def span(self) -> int:
        """Output processors that are fetched for in each pass, with the skipped and the holes."""
        return self.mask.bit_length() - self._first + self.skipped

    @cached_property
    def per_byte(self) -> int:
        """Weights in a byte."""
        return 8 // self.bits

    @cached_property
    def absent(self) -> int:
        """Outputs of the last pass that do not exist."""
        return self.out_passes * self.lanes - self.outputs

    @property
    def whole(self) -> bool:
        """Whether the outputs fill adjacent processors from a multiple of four on, four by four."""
        adjacent = self.mask >> self._first == (1 << self.lanes) - 1
        return adjacent and not (self.skipped or self.lanes % 4 or self.absent)

    @cached_property
    def quarter(self) -> int:
        """Columns of every fourth output: each quarter of a quartered layer fills whole columns."""
        kernels = self.outputs // 4 * self.passes
        size = -(-kernels // self.per_byte) * self.taps
        return -(-size // self.column_bytes)

    @cached_property
    def counts(self) -> KernelCounts:
        """The counts of the registers, and the columns that the vendor counts."""
        skipped = self.skipped * self.out_passes
        outputs = self.span if self.out_passes > 1 else self.span - self.skipped
        if self.depthwise:
            stored = self.passes
            fetched = self.passes * (1 + self.skipped)
            shown = self.passes * (outputs + self.skipped)
        else:
            each = self.values or self.passes
            absent = self.absent if self.values else 0
            stored = (outputs * self.out_passes - absent) * each
            fetched = shown = stored + skipped * each
        unused = (stored % self.per_byte) * (self.per_byte - 1)
        columns = -(-(stored * self.bits + unused) * self.taps // (8 * self.column_bytes))
        if self.quad:
            return KernelCounts(-(-columns // 4), -(-fetched // 4), -(-shown // 4))
        return KernelCounts(columns, fetched, shown)

    @cached_property
    def stored(self) -> int:
        """Columns from the layer's start to the last one written: at least what is counted.

        Quartered layers have as many in each of four memories as a quarter of these. Narrow
        depthwise kernels take the bytes of wide ones, and so does an odd output; an absent
        output of a matrix takes a byte (register description, section 4.3, occupied words).
        """
        if self.quartered:
            return 4 * self.quarter
        if self.depthwise:
            slots = self.passes * (self.per_byte + self.skipped)
        elif self.values:
            slots = self._last_output * self.values
        else:
            slots = -(-self.out_passes * self.span // self.per_byte) * self.per_byte * self.passes
        size = -(-slots // self.per_byte) * self.taps
        if self.values:
            size += self.absent if self.bits == 8 else 0
            return -(-size // self.column_bytes)
        written = -(-size // self.column_bytes)
        return written if self.quad else max(written, self.counts.columns + self.skipped)

    @property
    def _last_output(self) -> int:
        """Fetches up to the last output, for one value."""
        turn, rank = divmod(self.outputs - 1, self.lanes)
        processors = [p for p in range(self.mask.bit_length()) if self.mask >> p & 1]
        return turn * self.span + processors[rank] - self._first + self.skipped + 1

    @property
    def _first(self) -> int:
        return (self.mask & -self.mask).bit_length() - 1
