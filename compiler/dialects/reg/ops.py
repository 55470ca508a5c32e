"""The ops of the register level.

A register is named; `group` and `index` choose its copy (`index` counts layers, streaming layers,
FIFOs or snoopers, as the register map says). Memories are named by what holds them: processors
hold kernels, groups hold biases, and four processors share one data memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ai8xc.ir.core import Data, Graph, Mask, Op, Word, op
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.ir.types import Array, TensorType
from ai8xc.ir.verify import level_check
from ai8xc.registers import WORD_BYTES, Memory, RegisterError, RegisterMap, load_registers

BYTES_PER_COLUMN = 9
LANES = 4
"""Processors that share a data memory, and bytes of its words."""
CHECK = "check_output"
UNLOAD = "cnn_unload"
"""Functions that read the data memories: the known-answer test, and the one that copies."""

NO_DEVICE = declare(
    "REG001",
    "the graph does not say for which device it is",
    'A graph of register writes has the attribute `device`, for example `device = "max78000"`.',
)
NO_REGISTER = declare(
    "REG002",
    "{why}",
    "Every access names a register of the device, and a group and an index that exist.",
)
RESERVED_BITS = declare(
    "REG003",
    "`{register}` = {word} sets the bits {bits}, which belong to no field",
    "Reserved bits stay 0; the register map lists the fields of every register.",
)
OUTSIDE = declare(
    "REG004",
    "{count} words from word {word} of instance {instance} do not fit the {memory} memory",
    "Every image lies within one instance of a memory of the device.",
)


@dataclass(frozen=True, eq=False)
class RegisterAccess(Op):
    """An access to one copy of a register."""

    function: str
    register: str
    group: int = 0
    index: int = 0

    @cached_property
    def type(self) -> TensorType:
        """One word."""
        return TensorType((), "u32")

    def address(self, registers: RegisterMap) -> int:
        """Return the byte address of this copy; RegisterError where there is none."""
        return registers.address(self.register, self.group, self.index)

    def checked_words(self) -> tuple[int, ...]:
        """Return the words whose bits must belong to fields."""
        return ()


@op("reg.write")
class Write(RegisterAccess):
    """Write a word."""

    word: Word = Word(0)

    def checked_words(self) -> tuple[int, ...]:
        """Return the word."""
        return (self.word,)


@op("reg.modify")
class Modify(RegisterAccess):
    """Clear bits, then set bits, and write the register back."""

    clear: Word = Word(0)
    set: Word = Word(0)

    def checked_words(self) -> tuple[int, ...]:
        """Return the bits that change."""
        return (self.clear, self.set)


@op("reg.poll")
class Poll(RegisterAccess):
    """Read until the register, masked, is the word."""

    mask: Word = Word(0)
    word: Word = Word(0)

    def checked_words(self) -> tuple[int, ...]:
        """Return the bits that are looked at."""
        return (self.mask,)


@op("reg.check")
class Check(RegisterAccess):
    """Read once; fail unless the register, masked, is the word."""

    mask: Word = Word(0)
    word: Word = Word(0)


@dataclass(frozen=True, eq=False)
class Image(Op):
    """Words for one memory."""

    def place(self, registers: RegisterMap) -> tuple[Memory, int, int, int, int]:
        """Return the memory, group, instance, first word and number of words."""
        raise NotImplementedError


@op("reg.kernels")
class Kernels(Image):
    """Adjacent kernel columns of one processor, n x 9 bytes, lowest address first."""

    processor: int
    column: int
    data: Data
    function: str = "cnn_load_weights"

    @cached_property
    def type(self) -> TensorType:
        """Columns x 9 bytes."""
        return TensorType(tuple(self.data.array.shape), "u8")

    def place(self, registers: RegisterMap) -> tuple[Memory, int, int, int, int]:
        """Return where the four words of each column lie."""
        memory = registers.memory("kernel")
        group, instance = divmod(self.processor, memory.instances)
        return memory, group, instance, 4 * self.column, 4 * len(self.data.array)


@op("reg.biases")
class Biases(Image):
    """The biases of one group, one byte a word, from the start of its memory."""

    group: int
    data: Data
    function: str = "cnn_load_bias"

    @cached_property
    def type(self) -> TensorType:
        """Bytes."""
        return TensorType(tuple(self.data.array.shape), "u8")

    def place(self, registers: RegisterMap) -> tuple[Memory, int, int, int, int]:
        """Return where the bytes lie."""
        return registers.memory("bias"), self.group, 0, 0, len(self.data.array)


class _DataWords(Image):
    """Words for one data memory, from one word on."""

    group: int
    memory: int
    word: int
    data: Data

    @cached_property
    def type(self) -> TensorType:
        """Words."""
        return TensorType(tuple(self.data.array.shape), "u32")

    def place(self, registers: RegisterMap) -> tuple[Memory, int, int, int, int]:
        """Return where the words lie."""
        memory = registers.memory("data")
        return memory, self.group, self.memory, self.word, len(self.data.array)


@op("reg.load")
class Load(_DataWords):
    """Words of the network's input for one data memory."""

    group: int
    memory: int
    word: int
    data: Data
    function: str = "load_input"


@op("reg.push")
class Push(Op):
    """Words of the network's input for FIFOs: each row is one word a FIFO, pushed in order.

    With `wait`, each push waits until its FIFO is not full.
    """

    fifos: tuple[int, ...]
    data: Data
    fast: bool = False
    wait: bool = True
    function: str = "load_input"

    @cached_property
    def type(self) -> TensorType:
        """Words x FIFOs."""
        return TensorType(tuple(self.data.array.shape), "u32")


@op("reg.expect")
class Expect(_DataWords):
    """Words that a data memory holds after the run, where `mask` is set."""

    group: int
    memory: int
    word: int
    mask: Word
    data: Data
    function: str = CHECK


@op("reg.unload")
class Unload(Op):
    """Values that are read out of the data memories, channels x rows x columns.

    They are an output of the network, or what the user wants to be copied in its place; an output
    that is not copied belongs to the function of the known-answer test.

    Channel c lies on the (c modulo lanes)-th processor, in pass c / lanes, where lanes is the
    number of processors. `offset` is in bytes; `gap` words are left out behind each word. A
    `wide` value takes four words, one for each processor of its memory.
    """

    processors: Mask
    channels: int
    rows: int
    columns: int
    offset: int = 0
    gap: int = 0
    wide: bool = False
    output: str = ""
    transposer: bool = False
    function: str = UNLOAD

    @cached_property
    def type(self) -> TensorType:
        """The output."""
        element = "i32" if self.wide else "i8"
        return TensorType((self.channels, self.rows, self.columns), element)  # type: ignore[arg-type] # one of two

    @cached_property
    def places(self) -> tuple[Array, Array, Array]:
        """Data memory of the chip, word in it, and byte lane of each value.

        All are channels x rows x columns; a wide value is the whole word.
        """
        processors = np.flatnonzero([self.processors >> p & 1 for p in range(64)])
        passes = -(-self.channels // len(processors))
        number, rank = np.divmod(np.arange(self.channels), len(processors))
        memory, lane = np.divmod(processors[rank], LANES)
        pixel = np.arange(self.rows * self.columns)
        word = (pixel * passes + number[:, None]) * (self.gap + 1)
        if self.wide:
            word = word * LANES + lane[:, None]
        word += self.offset // WORD_BYTES
        shape = (self.channels, self.rows, self.columns)
        memory, lane = (np.broadcast_to(a[:, None], word.shape) for a in (memory, lane))
        return memory.reshape(shape), word.reshape(shape), lane.reshape(shape)


def registers_of(graph: Graph) -> RegisterMap | None:
    """Return the register map of the device that a graph of level reg is for."""
    device = graph.get("device")
    try:
        return load_registers(device) if isinstance(device, str) else None
    except FileNotFoundError:
        return None


@level_check("reg")
def addresses_exist(graph: Graph) -> Iterator[Diagnostic]:
    """Yield accesses to registers, fields or memory words that the device does not have."""
    registers = registers_of(graph)
    if registers is None:
        yield NO_DEVICE.at(graph.ops[0].loc if graph.ops else UNKNOWN)
        return
    for current in graph.ops:
        match current:
            case RegisterAccess():
                yield from _register_findings(current, registers)
            case Image():
                yield from _image_findings(current, registers)


def _register_findings(access: RegisterAccess, registers: RegisterMap) -> Iterator[Diagnostic]:
    try:
        access.address(registers)
    except RegisterError as error:
        yield NO_REGISTER.at(access, why=str(error))
        return
    register = registers.register(access.register)
    for word in access.checked_words():
        wrong = word & ~register.used
        if wrong:
            yield RESERVED_BITS.at(
                access, register=register.name, word=repr(Word(word)), bits=repr(Word(wrong))
            )


def _image_findings(image: Image, registers: RegisterMap) -> Iterator[Diagnostic]:
    memory, group, instance, word, count = image.place(registers)
    inside = 0 <= group < registers.groups and 0 <= instance < memory.instances
    if not inside or word < 0 or word + count > memory.size(instance):
        yield OUTSIDE.at(image, count=count, word=word, instance=instance, memory=memory.name)
