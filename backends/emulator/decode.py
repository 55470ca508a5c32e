"""Registers to the operation of one hardware layer (registers.md 11)."""

from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator.state import RegisterFile

PROCESSORS_PER_GROUP = 16
WEIGHT_BITS = (8, 1, 2, 4)  # by the weight size code, registers.md 11.3


class Operator(Enum):
    """What a layer computes after pooling and element-wise combination."""

    COPY = auto()
    CONV = auto()
    DEPTHWISE = auto()


@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of one axis: size of the data, pooling, padding and kernel."""

    size: int
    pool: int
    dilation: int
    stride: int
    pooled: int
    pad: int
    kernel: int


@dataclass(frozen=True, slots=True)
class Bias:
    """Where a layer finds its bias bytes: the first byte in each group that has them."""

    offsets: tuple[int | None, ...]


@dataclass(frozen=True)
class Layer:
    """One hardware layer as its registers state it.

    Words are 32-bit words inside a data memory; a pointer is `memory << pointer_shift | word`.
    `processors` are the enabled ones of all groups, `summed` those whose products are added.
    """

    index: int
    master: int
    operator: Operator
    transposed: bool
    broadcast: bool
    bypass: bool
    chw: bool
    calcx4: bool
    quad: bool
    rows: Window
    columns: Window
    passes: int
    operands: int
    function: int
    pool_first: bool
    average: bool
    average_round: bool
    weight_bits: int
    binary: bool
    first_kernel: int
    kernels: int
    first_tap: int
    output_columns: int
    output_passes: int
    bias: Bias
    skip_bias: int
    shift: int
    relu: bool
    absolute: bool
    wide: bool
    processors: NDArray[np.intp]
    summed: NDArray[np.intp]
    read_word: int
    read_step: int
    write_pointers: tuple[int, ...]
    memory_step: int
    slot_step: int
    pass_step: int
    increment: int

    @property
    def taps(self) -> int:
        """Weights of one kernel."""
        return self.rows.kernel * self.columns.kernel

    @property
    def pixels(self) -> int:
        """Input pixels of one operand and pass."""
        return self.rows.size * self.columns.size

    @property
    def words_per_pixel(self) -> int:
        """Input words of one pixel in each memory."""
        return self.passes * self.operands


@dataclass(frozen=True)
class Run:
    """What holds for a whole run: taken from CTL when the master group starts."""

    groups: tuple[int, ...]
    master: int
    first: int
    last: int
    streaming: bool
    fifo: bool
    fast_fifo: bool
    quad: bool
    average_round: bool
    binary: bool
    snoop: bool


def decode_run(registers: RegisterFile) -> Run:
    """The network-wide settings (registers.md 11.1, 11.2); group 0 is always the master."""
    groups = tuple(
        g
        for g in range(registers.map.groups)
        if registers.field("CTL", "enable", g) and registers.field("CTL", "clock_enable", g)
    )

    def ctl(name: str) -> bool:
        return bool(registers.field("CTL", name))

    def any_ctl(name: str) -> bool:
        return any(registers.field("CTL", name, g) for g in groups)

    return Run(
        groups=groups,
        master=groups[0],
        first=registers.field("LCNT_MAX", "first"),
        last=registers.field("LCNT_MAX", "last"),
        streaming=ctl("streaming"),
        fifo=any_ctl("fifo"),
        fast_fifo=any_ctl("fast_fifo"),
        quad=ctl("quad"),
        average_round=ctl("average_round"),
        binary=ctl("binary"),
        snoop=ctl("snoop"),
    )


class _Reader:
    """Fields of one layer, as the master group holds them."""

    def __init__(self, registers: RegisterFile, run: Run, index: int) -> None:
        self.registers = registers
        self.run = run
        self.index = index
        self.new = registers.map.has("NXTLYR")  # MAX78002 and its encodings

    def get(self, register: str, field: str, group: int | None = None) -> int:
        at = self.run.master if group is None else group
        return self.registers.field(register, field, at, self.index)

    def on(self, register: str, field: str) -> bool:
        return bool(self.get(register, field))


def decode_layer(registers: RegisterFile, run: Run, index: int) -> Layer:
    """The operation of hardware layer `index`."""
    read = _Reader(registers, run, index)
    operator = _operator(read)
    operands = read.get("ONED", "operands") + 1 if read.on("ONED", "eltwise") else 1
    passes = _passes(read)
    bypass = read.on("LCTL", "bypass") and operator is not Operator.COPY
    rows, columns, step = _geometry(read, operator, operands * passes)
    bits = 8 if bypass else WEIGHT_BITS[read.get("POST", "weight_size")]
    start, end = _kernel_range(read)
    processors = _enabled(read, run.groups)
    quad = run.quad and index == run.first
    return Layer(
        index=index,
        master=run.master,
        operator=operator,
        transposed=read.on("POST", "transposed"),
        broadcast=operator is Operator.DEPTHWISE and read.on("LCTL", "broadcast"),
        bypass=bypass,
        chw=read.on("LCTL", "chw"),
        calcx4=read.on("POST", "calcx4"),
        quad=quad,
        rows=rows,
        columns=columns,
        passes=passes,
        operands=operands,
        function=read.get("ONED", "function"),
        pool_first=read.on("ONED", "pool_first"),
        average=read.on("LCTL", "pool") and not read.on("LCTL", "maximum"),
        average_round=run.average_round,
        weight_bits=bits,
        binary=run.binary and bits == 1,
        first_kernel=start,
        kernels=(end - start) // bits + 1,
        first_tap=read.get("ONED", "first_tap"),
        output_columns=read.get("LCTL2", "columns") // bits + 1,
        output_passes=_output_passes(read, operator, start),
        bias=_bias(read),
        skip_bias=int(not read.new and index == 0 and run.streaming),
        shift=_signed(read.get("POST", "shift"), read.on("POST", "shift_down")),
        relu=read.on("LCTL", "relu"),
        absolute=read.on("POST", "absolute"),
        wide=read.on("LCTL", "wide"),
        processors=processors,
        summed=_summed(read, processors, quad),
        read_word=read.get("RPTR_BASE", "word"),
        read_step=step,
        write_pointers=tuple(
            read.get("WPTR_BASE", "pointer", g) for g in range(registers.map.groups)
        ),
        memory_step=read.get("WPTR_MOFFS", "offset"),
        slot_step=read.get("WPTR_TOFFS", "offset"),
        pass_step=read.get("WPTR_CHOFFS", "offset"),
        increment=read.get("LCTL2", "increment") + 1,
    )


def _operator(read: _Reader) -> Operator:
    """registers.md 11.3."""
    if read.on("POST", "depthwise"):
        return Operator.DEPTHWISE
    return Operator.COPY if read.on("POST", "no_sum") else Operator.CONV


def _passes(read: _Reader) -> int:
    """registers.md 11.4: above 16 passes only TPTR holds the whole number."""
    if read.on("POST", "flatten"):
        return read.get("TPTR", "first") + 1
    return read.get("LCTL2", "passes") + 1


def _kernel_size(read: _Reader, operator: Operator) -> tuple[int, int]:
    length = read.get("ONED", "length")
    if operator is Operator.COPY:
        return (1, 1)
    if read.on("ONED", "conv1d"):
        return (length, 1)
    if length == 1:
        return (1, 1)
    return (3, 3)


def _geometry(read: _Reader, operator: Operator, words: int) -> tuple[Window, Window, int]:
    """registers.md 11.5: both axes and the input words from one pixel to the next."""
    kernel = _kernel_size(read, operator)
    zoom = 2 if read.on("POST", "transposed") else 1
    if not read.new:
        stride = read.get("STRIDE", "stride") + 1
        rows = _counted(read, ("RCNT", "PRCNT"), stride, kernel[0], zoom)
        return rows, _counted(read, ("CCNT", "PCCNT"), stride, kernel[1], zoom), words
    step = read.get("STRIDE", "step")
    stride = step // words if zoom == 2 else read.get("STRIDE", "stride") + 1
    rows = _stopped(read, ("RCNT", "PRCNT"), stride, kernel[0], zoom)
    columns = _stopped(read, ("CCNT", "PCCNT"), stride, kernel[1], zoom)
    width = (read.get("CCNT", "stop") + read.get("CCNT", "rest")) // zoom
    columns = replace(columns, size=max(width, columns.size))
    return rows, columns, max(step // stride, words)


def _counted(read: _Reader, names: tuple[str, str], stride: int, kernel: int, zoom: int) -> Window:
    """MAX78000: the count field holds the whole axis with its padding."""
    pad = read.get(names[0], "pad")
    size = (read.get(names[0], "count") + 1 - 2 * pad) // zoom
    pool = read.get(names[1], "extent") + 1
    return Window(size, pool, 1, stride, (size + stride - pool) // stride, pad, kernel)


def _stopped(read: _Reader, names: tuple[str, str], stride: int, kernel: int, zoom: int) -> Window:
    """MAX78002: the stop field holds the last start position of the pooling window.

    The size returned is the part of the axis that matters.
    """
    pad = read.get(names[0], "pad_minus_1") + 1 if read.on(names[0], "padded") else 0
    dilation = read.get(names[1], "dilation") + 1
    pool = read.get(names[1], "extent") // dilation + 1
    stop = read.get(names[0], "stop")
    if zoom == 2:
        size = (stop + stride - 1 + pool + dilation - 1) // 2
        pooled = (size + stride - pool - dilation + 1) // stride
        return Window(size, pool, dilation, stride, pooled, pad, kernel)
    pooled = stop // stride + 1
    size = (pooled - 1) * stride + (pool - 1) * dilation + 1
    return Window(size, pool, dilation, stride, pooled, pad, kernel)


def _kernel_range(read: _Reader) -> tuple[int, int]:
    if read.new:
        return read.get("MCNT2", "start"), read.get("MCNT1", "end")
    return read.get("MCNT", "start"), read.get("MCNT", "end")


def _output_passes(read: _Reader, operator: Operator, start: int) -> int:
    """registers.md 11.7."""
    if operator is Operator.COPY:
        return (start if read.new else read.get("MCNT", "end")) // 8 + 1
    if not read.get("WPTR_CHOFFS", "offset"):
        return 1
    width = 4 if read.on("LCTL", "wide") else 1
    return (read.get("LCTL2", "increment") + 1) * width // read.get("WPTR_CHOFFS", "offset")


def _bias(read: _Reader) -> Bias:
    return Bias(
        tuple(
            read.get("POST", "bias_offset", g) if read.get("POST", "bias", g) else None
            for g in range(read.registers.map.groups)
        )
    )


def _signed(size: int, negative: bool) -> int:
    return -size if negative else size


def _enabled(read: _Reader, groups: tuple[int, ...]) -> NDArray[np.intp]:
    bits = [
        PROCESSORS_PER_GROUP * g + b
        for g in groups
        for b in range(PROCESSORS_PER_GROUP)
        if read.get("ENA", "processors", g) >> b & 1
    ]
    return np.array(bits, np.intp)


def _summed(read: _Reader, enabled: NDArray[np.intp], quad: bool) -> NDArray[np.intp]:
    """registers.md 11.9: the master group and the groups it names as sources."""
    if quad:
        return enabled
    sources = 1 << read.run.master | read.get("LCTL", "sources")
    summed: NDArray[np.intp] = enabled[sources >> enabled // PROCESSORS_PER_GROUP & 1 == 1]
    return summed
