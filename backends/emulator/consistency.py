"""Fields that repeat what other fields say (registers.md 11.12).

The emulator does not need them to find the operation of a layer; the hardware does. A program
that contradicts itself is reported although its numbers come out here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ai8xc.backends.emulator.decode import PROCESSORS_PER_GROUP, Layer, Operator, Run
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.kernels import QUARTER_COLUMNS, output_count
from ai8xc.backends.emulator.memory import COLUMN_BYTES
from ai8xc.backends.emulator.state import RegisterFile

PACKED_PASSES = 16
QUARTERS = 4
FLATTEN_LIMIT = 256


@dataclass(frozen=True)
class Context:
    """One layer and the registers it was decoded from."""

    registers: RegisterFile
    run: Run
    layer: Layer
    pointer_shift: int
    streaming: bool

    def get(self, register: str, field: str, group: int | None = None) -> int:
        """A field of this layer, of the master group unless one is named."""
        at = self.layer.master if group is None else group
        return self.registers.field(register, field, at, self.layer.index)

    def enabled(self, group: int) -> int:
        """The number of enabled processors of a group."""
        return int((self.layer.processors // PROCESSORS_PER_GROUP == group).sum())

    @property
    def copies(self) -> bool:
        """True for a layer without convolution."""
        return self.layer.operator is Operator.COPY

    @property
    def depthwise(self) -> bool:
        """True for a depthwise layer."""
        return self.layer.operator is Operator.DEPTHWISE

    @property
    def conv1d(self) -> bool:
        """True for a convolution along one axis."""
        return bool(self.get("ONED", "conv1d"))


# What a check yields: register, field, value that is expected there.
Expectation = tuple[str, str, int]
Check = Callable[[Context], Iterator[Expectation]]


def check_layer(context: Context, findings: Findings) -> None:
    """Report every field of a layer that contradicts the others."""
    for check in CHECKS:
        for register, field, expected in check(context):
            found = context.get(register, field)
            if context.registers.map.has(register) and found != expected:
                _report(context, f"`{register}.{field}` is {found}, not {expected}", findings)
    _check_groups(context, findings)
    if context.layer.chw and context.layer.words_per_pixel > 1:
        _report(context, "channels of their own (CHW) are read in more than one pass", findings)
    if not context.copies and context.layer.kernels % context.layer.passes:
        message = f"{context.layer.kernels} kernels are not divisible by the passes"
        _report(context, message, findings)


def _report(context: Context, message: str, findings: Findings) -> None:
    findings.add(Finding("inconsistent", message, layer=context.layer.index))


def _constants(context: Context) -> Iterator[Expectation]:
    yield "LCTL", "fixed", 1
    yield "LCTL", "shared_source", 1
    yield "WPTR_MOFFS", "offset", 0 if context.copies else 1 << context.pointer_shift


def _pooling(context: Context) -> Iterator[Expectation]:
    if not context.get("LCTL", "pool"):
        yield "LCTL", "maximum", 1
        yield "PRCNT", "extent", 0
        yield "PCCNT", "extent", 0


def _sources(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    wanted = 0
    if layer.operator is Operator.CONV and not layer.quad:
        for group in context.run.groups:
            if group != layer.master and (
                context.enabled(group) or layer.bias.offsets[group] is not None
            ):
                wanted |= 1 << group
    yield "LCTL", "sources", wanted


def _post(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    yield "POST", "copy", int(context.copies and layer.operands == 1)
    yield "POST", "no_sum", int(layer.operator is not Operator.CONV)
    wide = context.get("POST", "flatten")
    if not wide or layer.passes <= FLATTEN_LIMIT:
        yield "POST", "flatten_passes", (layer.passes - 1) >> 4 if wide else 0
    if wide:
        yield "LCTL2", "passes", (layer.passes - 1) % PACKED_PASSES
        yield "TPTR", "last", 2 * layer.passes - 1
    if layer.bias.offsets[layer.master] is None:
        yield "POST", "bias_offset", 0


def _kernel_length(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    if context.conv1d:
        return
    single = layer.operands == 1 if context.copies else layer.taps == 1
    yield "ONED", "length", int(single)


def _kernel_size(context: Context) -> Iterator[Expectation]:
    """MAX78002 also states the kernel size in LCTL."""
    if context.registers.map.has("NXTLYR") and not context.copies:
        rows, columns = context.layer.rows.kernel, context.layer.columns.kernel
        yield "LCTL", "kernel_rows", rows - 1
        yield "LCTL", "kernel_columns", columns - 1


def _operands(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    several = layer.operands > 1
    window = layer.rows.pool * layer.columns.pool > 1
    yield "ONED", "eltwise_conv", int(several and not context.copies)
    if not several:
        yield "ONED", "function", 0
        yield "ONED", "operands", 0
    if not (several and window):
        yield "ONED", "pool_first", 0


def _slots(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    counts = [context.enabled(g) for g in context.run.groups]
    if layer.operator is Operator.CONV:
        yield "ONED", "slots", 0
    elif context.copies:
        yield "ONED", "slots", (max(counts) - 1) // 4
    else:
        yield "ONED", "slots", max(min(n, 4) if layer.broadcast else n for n in counts) - 1


def _pointers(context: Context) -> Iterator[Expectation]:
    layer, memory = context.layer, 1 << context.pointer_shift
    if context.conv1d or layer.transposed:
        yield "WPTR_TOFFS", "offset", 0
    elif layer.operator is Operator.CONV:
        yield "WPTR_TOFFS", "offset", int(layer.taps == 1)
    elif context.depthwise:
        yield "WPTR_TOFFS", "offset", 0 if layer.broadcast else memory
    elif layer.operands == 1 and len(layer.processors) > 1:
        # with operands it also depends on emulated passes; a single processor has one slot
        yield "WPTR_TOFFS", "offset", memory if len(layer.processors) > 4 else memory // 4


def _row_buffer(context: Context) -> Iterator[Expectation]:
    layer = context.layer
    if context.copies or context.get("POST", "flatten"):
        return
    plain = context.conv1d or (layer.taps == 1 and not (context.streaming and layer.index))
    if plain:
        yield "TPTR", "first", 0
        yield "TPTR", "last", 0
    else:
        yield "TPTR", "last", context.get("TPTR", "first") + row_buffer_words(layer) - 1


def row_buffer_words(layer: Layer) -> int:
    """Row buffer words of one pass of a layer (`tram_max`, registers.md 4.6)."""
    if layer.operator is Operator.COPY:
        return 1
    width = layer.columns.pooled * (2 if layer.transposed else 1)
    return max(0, width + 2 * layer.columns.pad - layer.columns.kernel) + 1


def _output_channels(context: Context) -> Iterator[Expectation]:
    layer, slots = context.layer, context.get("ONED", "slots")
    if context.copies:
        yield "OCHAN", "kernels", slots
    elif context.depthwise:
        yield "OCHAN", "kernels", (slots + 1) * layer.passes - 1
    elif not (layer.calcx4 or layer.bypass or layer.quad):
        yield "OCHAN", "kernels", layer.kernels - 1


def _row_step(context: Context) -> Iterator[Expectation]:
    """MAX78002: the words from the last start position of a row to the next row."""
    layer = context.layer
    if not context.registers.map.has("NXTLYR"):
        return
    stride = layer.columns.stride
    width = layer.columns.size * (2 if layer.transposed else 1)
    rest = 1 if context.conv1d else context.get("CCNT", "rest")
    step = context.get("STRIDE", "step") // stride
    yield "RCNT", "rest", (rest + (stride - 1) * width) * step


CHECKS: tuple[Check, ...] = (
    _constants,
    _pooling,
    _sources,
    _post,
    _kernel_length,
    _kernel_size,
    _operands,
    _slots,
    _pointers,
    _row_buffer,
    _output_channels,
    _row_step,
)

OWN_FIELDS = {"LCTL": ("sources",), "POST": ("bias", "bias_offset")}


def _check_groups(context: Context, findings: Findings) -> None:
    """Every group that is configured must agree with the master group; ENA in both halves."""
    for group in context.run.groups:
        _check_enable(context, group, findings)
        if group == context.layer.master or not _configured(context, group):
            continue
        for name, register in context.registers.map.registers.items():
            if register.scope != "layer" or name in ("ENA", "WPTR_BASE"):
                continue
            own = OWN_FIELDS.get(name, ())
            for field in register.fields:
                mine, theirs = context.get(name, field), context.get(name, field, group)
                if field not in own and mine != theirs:
                    message = f"`{name}.{field}` is {theirs} in group {group}, {mine} in group"
                    _report(context, f"{message} {context.layer.master}", findings)


def _configured(context: Context, group: int) -> bool:
    """False for the groups that a hidden reset layer leaves out (registers.md 4.5)."""
    return bool(context.get("LCTL", "fixed", group)) or context.enabled(group) > 0


def _check_enable(context: Context, group: int, findings: Findings) -> None:
    processors = context.get("ENA", "processors", group)
    sums = not context.copies and not context.layer.bypass
    kernels = context.get("ENA", "kernels", group)
    if kernels != (processors if sums else 0):
        message = f"`ENA.kernels` of group {group} is {kernels:#x} for processors {processors:#x}"
        _report(context, message, findings)


def _kernel_columns(layer: Layer) -> tuple[int, int]:
    """The first column of a layer and the one behind its last (or more), in each quarter."""
    kernels = layer.kernels
    if layer.calcx4:
        kernels = output_count(layer) // QUARTERS * layer.passes
    first = layer.first_kernel // 8 * layer.taps // COLUMN_BYTES
    return first, first + (kernels * layer.weight_bits * layer.taps + 71) // 72 + 1


def check_loaded(layer: Layer, kernels: np.ndarray, bias: np.ndarray, findings: Findings) -> None:
    """Report a layer that uses a kernel or bias memory where nothing was loaded.

    `kernels` is `(processors, columns)` and `bias` `(groups, bytes)`, True where written.
    """
    if layer.operator is not Operator.COPY and not layer.bypass:
        first, last = _kernel_columns(layer)
        for quarter in range(QUARTERS if layer.calcx4 else 1):
            shift = quarter * QUARTER_COLUMNS
            empty = ~kernels[layer.processors, first + shift : last + shift].any(axis=1)
            if empty.any():
                message = f"no kernel was loaded for processor {int(layer.processors[empty][0])}"
                findings.add(Finding("uninitialised", message, layer=layer.index))
                break
    for group, offset in enumerate(layer.bias.offsets):
        scale = 4 if layer.calcx4 or layer.broadcast else 1
        if offset is not None and not bias[group, scale * offset :].any():
            message = f"no bias was loaded into group {group} from byte {scale * offset} on"
            findings.add(Finding("uninitialised", message, layer=layer.index))
