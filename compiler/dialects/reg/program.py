"""The plain view of a register program: functions with addresses, and memory images as arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from ai8xc.dialects.reg.ops import (
    UNLOAD,
    Biases,
    Check,
    Expect,
    Image,
    Kernels,
    Load,
    Modify,
    Poll,
    Push,
    RegisterAccess,
    Unload,
    Write,
    registers_of,
)
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.types import Array
from ai8xc.registers import WORD_BITS, WORD_BYTES, RegisterMap

OpT = TypeVar("OpT", bound=Op)
AccessKind = Literal["write", "modify", "poll", "check"]


@dataclass(frozen=True)
class Access:
    """One access with its address; `op` tells register, group and layer.

    `modify` gives (old & ~mask) | value; `poll` and `check` want (read & mask) == value.
    """

    kind: AccessKind
    address: int
    value: int
    mask: int
    op: RegisterAccess

    def as_json(self) -> object:
        """Return the access as `registers.json` holds it: `[address, value]` or an object."""
        if self.kind == "write":
            return [self.address, self.value]
        return {"op": self.kind, "address": self.address, "mask": self.mask, "value": self.value}


@dataclass(frozen=True)
class Function:
    """A function of the generated program and its accesses, in order."""

    name: str
    accesses: tuple[Access, ...]


@dataclass(frozen=True)
class Program:
    """A graph of level reg with addresses in place of names."""

    graph: Graph
    registers: RegisterMap

    @classmethod
    def of(cls, graph: Graph) -> Program:
        """Return the program of a graph; ValueError when the graph names no device."""
        registers = registers_of(graph)
        if registers is None:
            raise ValueError("the graph does not say for which device it is")
        return cls(graph, registers)

    @property
    def device(self) -> str:
        """Name of the device."""
        return self.registers.device

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """The functions that access registers, in the order in which they first appear."""
        found: dict[str, list[Access]] = {}
        for op in self.graph.ops:
            if isinstance(op, RegisterAccess):
                found.setdefault(op.function, []).append(self.access(op))
        return tuple(Function(name, tuple(accesses)) for name, accesses in found.items())

    def function(self, name: str) -> Function:
        """Return a function by name; an empty one when the program has none."""
        found = [function for function in self.functions if function.name == name]
        return found[0] if found else Function(name, ())

    @property
    def layers(self) -> int:
        """The number of hardware layers that are configured."""
        configured = (access.op for access in self.function("cnn_configure").accesses)
        scopes = ((op.index, self.registers.register(op.register).scope) for op in configured)
        return len({index for index, scope in scopes if scope == "layer"})

    def access(self, op: RegisterAccess) -> Access:
        """Return the access that an op stands for."""
        address = op.address(self.registers)
        match op:
            case Write():
                return Access("write", address, op.word, (1 << WORD_BITS) - 1, op)
            case Modify():
                return Access("modify", address, op.set, op.clear, op)
            case Poll():
                return Access("poll", address, op.word, op.mask, op)
            case Check():
                return Access("check", address, op.word, op.mask, op)
        raise TypeError(op.opcode)

    @cached_property
    def kernels(self) -> tuple[Kernels, ...]:
        """The kernel columns, ascending."""
        return tuple(self._all(Kernels))

    @cached_property
    def biases(self) -> tuple[Biases, ...]:
        """The biases of each group that has some."""
        return tuple(self._all(Biases))

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """The blocks of the input in data memory."""
        return tuple(self._all(Load))

    @cached_property
    def pushes(self) -> tuple[Push, ...]:
        """The input for FIFOs."""
        return tuple(self._all(Push))

    @cached_property
    def expected(self) -> tuple[Expect, ...]:
        """What the data memories hold after the run, where the known-answer test looks."""
        return tuple(op for op in self._all(Expect) if op.function != UNLOAD)

    @cached_property
    def unloaded(self) -> tuple[Expect, ...]:
        """What they hold where the unload function looks, if it does not copy the outputs."""
        return tuple(op for op in self._all(Expect) if op.function == UNLOAD)

    @cached_property
    def outputs(self) -> tuple[Unload, ...]:
        """The outputs of the model, in its order."""
        return tuple(op for op in self.graph.outputs if isinstance(op, Unload))

    @cached_property
    def unloads(self) -> tuple[Unload, ...]:
        """What the unload function copies: the outputs, or what the user has listed."""
        return tuple(op for op in self._all(Unload) if op.function == UNLOAD)

    def address(self, image: Image) -> int:
        """Return the byte address of the first word of an image."""
        memory, group, instance, word, _ = image.place(self.registers)
        return memory.address(group, instance, word)

    def kernel_words(self) -> tuple[Array, Array]:
        """Return addresses and values of the kernels, four words a column."""
        return _joined(self._kernel_words())

    def bias_words(self) -> tuple[Array, Array]:
        """Return addresses and values of the biases."""
        return _joined(_words(self.address(b), b.data.array) for b in self.biases)

    def input_words(self) -> tuple[Array, Array]:
        """Return addresses and values of the input, FIFO input as pushes in order."""
        loads = [_words(self.address(load), load.data.array) for load in self.loads]
        return _joined([*loads, *map(self._pushed, self.pushes)])

    def expected_words(self) -> tuple[Array, Array, Array]:
        """Return addresses, masks and values of the expected words."""
        address, value = _joined(_words(self.address(e), e.data.array) for e in self.expected)
        masks = [np.full(len(e.data.array), e.mask, np.uint32) for e in self.expected]
        return address, np.concatenate([np.zeros(0, np.uint32), *masks]), value

    def unloaded_words(self) -> tuple[Array, Array]:
        """Return addresses and values of the words that only the unload function reads."""
        return _joined(_words(self.address(e), e.data.array) for e in self.unloaded)

    def output_places(self, unload: Unload) -> tuple[Array, Array]:
        """Return the address of the word of each value of an output, and its byte lane.

        Both are channels x rows x columns; a wide value is the whole word.
        """
        memory, word, lane = unload.places
        data = self.registers.memory("data")
        base = np.array([data.address(*divmod(m, data.instances)) for m in range(memory.max() + 1)])
        return (base[memory] + WORD_BYTES * word).astype(np.uint32), lane

    def read_output(self, unload: Unload, read: Callable[[int], int]) -> Array:
        """Return an output as `read` finds it in the memories, channels x rows x columns."""
        address, lane = self.output_places(unload)
        words = np.array([read(a) for a in address.reshape(-1).tolist()], np.uint32)
        if unload.wide:
            return words.view(np.int32).reshape(address.shape)
        values = words >> (8 * lane.reshape(-1)).astype(np.uint32)
        return values.astype(np.uint8).view(np.int8).reshape(address.shape)

    def _kernel_words(self) -> Iterator[tuple[Array, Array]]:
        for kernels in self.kernels:
            data = kernels.data.array.astype(np.uint32)
            words = np.zeros((len(data), 4), np.uint32)
            words[:, 0] = data[:, 0]
            for word in (1, 2):
                four = data[:, 4 * word - 3 : 4 * word + 1]
                words[:, word] = four @ np.array([1 << 24, 1 << 16, 1 << 8, 1], np.uint32)
            yield _words(self.address(kernels), words.reshape(-1))

    def _pushed(self, push: Push) -> tuple[Array, Array]:
        if push.fast:
            ports = [self.registers.address("FAST_FIFO_DR")]
        else:
            ports = [self.registers.address("FIFO_DATA", 0, fifo) for fifo in push.fifos]
        rows = push.data.array
        address = np.tile(np.array(ports, np.uint32), len(rows))
        return address, rows.reshape(-1).astype(np.uint32)

    def _all(self, kind: type[OpT]) -> list[OpT]:
        return [op for op in self.graph.ops if isinstance(op, kind)]


def _words(address: int, values: Array) -> tuple[Array, Array]:
    steps = 4 * np.arange(len(values), dtype=np.uint32)
    return np.uint32(address) + steps, values.astype(np.uint32)


def _joined(
    parts: Iterator[tuple[Array, Array]] | list[tuple[Array, Array]],
) -> tuple[Array, Array]:
    found = list(parts)
    empty = np.zeros(0, np.uint32)
    addresses = np.concatenate([empty, *(address for address, _ in found)])
    return addresses, np.concatenate([empty, *(value for _, value in found)])
