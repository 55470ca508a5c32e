"""The outputs of a run: their values, and the first one that is not the expected one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ai8xc.backends.firmware.project import Project
from ai8xc.ir.types import Array
from ai8xc.registers import load_registers

PROCESSORS_PER_MEMORY = 4
ReadWords = Callable[[int, int], Array]
"""Takes address and count."""


@dataclass(frozen=True)
class Difference:
    """A value that is not the expected one."""

    output: str
    place: tuple[int, ...]
    expected: int
    actual: int
    count: int

    def __str__(self) -> str:
        """One line for a report."""
        channel, row, column = self.place
        more = f" ({self.count} values differ)" if self.count > 1 else ""
        return (
            f"output `{self.output}`, channel {channel}, row {row}, column {column}:"
            f" expected {self.expected}, got {self.actual}{more}"
        )


def places(output: dict[str, Any], device: str) -> tuple[Array, Array]:
    """Return address and byte lane of each value of an output, channels x rows x columns.

    Source: register description, section 5.10.
    """
    memory = load_registers(device).memory("data")
    mask = int(output["processors"], 16)
    processors = [p for p in range(mask.bit_length()) if mask >> p & 1]
    channels, rows, columns = output["shape"]
    passes = -(-channels // len(processors))
    used = np.array([processors[c % len(processors)] for c in range(channels)])
    base = [memory.address(*divmod(p // 4, memory.instances)) for p in used.tolist()]
    number = np.arange(channels) // len(processors)
    word = (np.arange(rows * columns) * passes + number[:, None]) * (output["gap"] + 1)
    lane = np.broadcast_to((used % PROCESSORS_PER_MEMORY)[:, None], word.shape)
    if output["bits"] == 32:
        word = word * PROCESSORS_PER_MEMORY + lane
    address = np.array(base, np.int64)[:, None] + output["offset"] + 4 * word
    shape = (channels, rows, columns)
    return address.reshape(shape), lane.reshape(shape)


class OutputReader:
    """Where outputs of a project lie, worked out once; `outputs` are those of the manifest."""

    def __init__(self, project: Project, outputs: list[dict[str, Any]]) -> None:
        self._outputs = [
            _Places(*places(output, project.device), output["bits"] == 32) for output in outputs
        ]

    def read(self, read: ReadWords) -> list[Array]:
        """Return the outputs, channels x rows x columns, as `read` finds them in the memories."""
        return [output.values(read) for output in self._outputs]


class _Places:
    def __init__(self, address: Array, lane: Array, wide: bool) -> None:
        distinct, self._which = np.unique(address, return_inverse=True)
        self._runs = list(_runs(distinct))
        self._shape, self._wide = address.shape, wide
        self._shift = (8 * lane.reshape(-1)).astype(np.uint32)

    def values(self, read: ReadWords) -> Array:
        words = np.concatenate([read(start, count) for start, count in self._runs])
        found = words.astype(np.uint32)[self._which.reshape(-1)]
        if self._wide:
            return found.view(np.int32).reshape(self._shape)
        return (found >> self._shift).astype(np.uint8).view(np.int8).reshape(self._shape)


def read_outputs(project: Project, read: ReadWords) -> list[Array]:
    """Return the outputs of one run, see `OutputReader`."""
    return OutputReader(project, project.outputs).read(read)


def in_model_shape(project: Project, outputs: list[Array]) -> list[Array]:
    """Return what is unloaded in the shapes of the model, without its batch axis.

    What the user lists to be copied in place of the outputs keeps its own shape.
    """
    shapes = project.facts.get("model", {}).get("output_shapes", [])
    if len(shapes) != len(outputs) or project.unloads is not project.outputs:
        return outputs
    known = zip(outputs, shapes, strict=True)
    return [o.reshape(shape) if o.size == np.prod(shape, dtype=int) else o for o, shape in known]


def _runs(addresses: Array) -> Iterator[tuple[int, int]]:
    for run in np.split(addresses, np.flatnonzero(np.diff(addresses) != 4) + 1):
        if len(run):
            yield int(run[0]), len(run)


def known_answer(project: Project, found: ReadWords) -> ReadWords:
    """Return a reader of the expected words; those that are not compared read as `found`."""
    memory: dict[int, int] = {}
    for start, _, words in project.expected():
        for address, word in zip(range(start, start + 4 * len(words), 4), words, strict=True):
            memory[address] = memory.get(address, 0) | int(word)  # outputs can share words

    def read(address: int, count: int) -> Array:
        words = found(address, count).astype(np.uint32)
        for i in range(count):
            words[i] = memory.get(address + 4 * i, words[i])
        return words

    return read


def first_difference(
    project: Project, expected: list[Array], actual: list[Array]
) -> Difference | None:
    """Return the first value that differs, outputs in their order, None where all are equal."""
    for output, want, got in zip(project.outputs, expected, actual, strict=True):
        wrong = np.argwhere(want != got)
        if len(wrong):
            place = tuple(int(i) for i in wrong[0])
            return Difference(output["name"], place, int(want[place]), int(got[place]), len(wrong))
    return None
