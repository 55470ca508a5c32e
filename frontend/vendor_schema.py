"""The vendor's network description: every key with its aliases, values and syntax rules.

The models hold what the file says, canonical in form but not yet completed by defaults that
depend on weights or on other layers. Source: hardware semantics, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

ALIASES: Final[Mapping[str, str]] = {
    "activation": "activate",
    "operation": "op",
    "operator": "op",
    "convolution": "op",
    "conv_groups": "groups",
    "in_skip": "read_gap",
    "bias_quadrant": "bias_group",
}
"""Other names of keys of a layer; a layer may use one of each."""

Operator = Literal["conv1d", "conv2d", "convtranspose2d", "linear", "none"]
Eltwise = Literal["add", "sub", "or", "xor"]

_OPERATORS: Final[dict[str, str]] = {
    "conv1d": "conv1d",
    "conv2d": "conv2d",
    "convtranspose2d": "convtranspose2d",
    "none": "none",
    "passthrough": "none",
    "linear": "linear",
    "fc": "linear",
    "mlp": "linear",
    "add": "add",
    "sub": "sub",
    "or": "or",
    "bitwiseor": "or",
    "bitwise_or": "or",
    "xor": "xor",
    "bitwisexor": "xor",
    "bitwise_xor": "xor",
}


def _folded(value: object) -> object:
    """Return a word in lower case; what is not given at all (`None` as a word) stays a word."""
    return value.lower() if isinstance(value, str) else ("none" if value is None else value)


def _processors(value: object) -> object:
    """Return a processor map: an integer, or a hexadecimal string with dots."""
    if isinstance(value, str):
        digits = value.replace(".", "").replace("_", "")
        if not re.fullmatch(r"(0[xX])?[0-9a-fA-F]+", digits):
            raise ValueError("a processor map is an integer or hexadecimal digits")
        return int(digits, 16)
    return value


def _operator(value: object) -> object:
    word = _folded(value)
    if not isinstance(word, str) or word not in _OPERATORS:
        raise ValueError(f"there is no operator `{value}`")
    return _OPERATORS[word]


def _pair(value: object) -> object:
    """Return rows and columns: one integer stands for both."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, list) and len(value) == 2:
        return tuple(value)
    raise ValueError("an integer or a list of two is needed")


def _size(value: object) -> object:
    """Return rows and columns of data: a single length is a column."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, 1)
    if isinstance(value, list) and len(value) == 1:
        return (value[0], 1)
    return _pair(value)


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _kernel(value: object) -> object:
    """Return the kernel: `3x3`, or a length."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)x(\d+)", value.lower())
        if match is None:
            raise ValueError("a kernel is written like `3x3`, a length as an integer")
        return (int(match[1]), int(match[2]))
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    raise ValueError("a kernel is written like `3x3`, a length as an integer")


def _equal(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] != value[1]:
        raise ValueError("rows and columns must be the same")
    return value


def _quantization(value: object) -> object:
    word = _folded(value)
    return -1 if word in ("bin", "binary") else word


ProcessorMap = Annotated[StrictInt, BeforeValidator(_processors), Field(ge=1, le=2**64 - 1)]
NonNegative = Annotated[StrictInt, Field(ge=0)]
Positive = Annotated[StrictInt, Field(ge=1)]
Pair = Annotated[tuple[Positive, Positive], BeforeValidator(_pair)]
Size = Annotated[tuple[Positive, Positive], BeforeValidator(_size)]
SequenceRef = StrictInt | StrictStr


class LayerDescription(BaseModel):
    """One entry of `layers`, as the file has it; None where a key is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: NonNegative | None = None
    name: StrictStr | None = None
    processors: ProcessorMap
    output_processors: ProcessorMap | None = None
    in_offset: NonNegative | None = None
    out_offset: NonNegative | None = None
    in_channels: Positive | None = None
    out_channels: Positive | None = None
    in_dim: Size | None = None
    in_crop: Annotated[tuple[NonNegative, NonNegative], BeforeValidator(_pair)] | None = None
    in_sequences: Annotated[list[SequenceRef], BeforeValidator(_list)] | None = None
    in_channel_skip: NonNegative = 0
    read_gap: NonNegative = 0
    write_gap: NonNegative = 0
    op: Annotated[Operator | Eltwise, BeforeValidator(_operator)] | None = None
    eltwise: Annotated[Eltwise, BeforeValidator(_folded)] | None = None
    operands: StrictInt | None = None
    pool_first: StrictBool = True
    max_pool: Pair | None = None
    avg_pool: Pair | None = None
    pool_stride: Pair | None = None
    pool_dilation: Pair | None = None
    kernel_size: Annotated[tuple[int, ...], BeforeValidator(_kernel)] | None = None
    pad: NonNegative | None = None
    output_pad: NonNegative | None = None
    stride: Annotated[Pair, AfterValidator(_equal)] | None = None
    dilation: Pair | None = None
    groups: Positive = 1
    bypass: StrictBool = False
    quantization: Annotated[Literal[1, 2, 4, 8, -1], BeforeValidator(_quantization)] | None = None
    output_shift: StrictInt | None = None
    output_width: Literal[8, 32] = 8
    activate: Annotated[Literal["relu", "abs", "none"], BeforeValidator(_folded)] | None = None
    flatten: StrictBool = False
    data_format: (
        Annotated[Literal["hwc", "little", "chw", "big"], BeforeValidator(_folded)] | None
    ) = None
    streaming: StrictBool = False
    bias_group: Annotated[list[NonNegative], BeforeValidator(_list)] | None = None
    output: StrictBool = False
    next_sequence: SequenceRef | None = None
    simulated_sequence: SequenceRef | None = None
    snoop_sequence: NonNegative | None = None
    weight_source: SequenceRef | None = None
    calcx4: StrictBool = False
    readahead: StrictBool = False
    tcalc: StrictBool | None = None
    buffer_shift: Positive | None = None
    buffer_insert: Positive | None = None


class UnloadDescription(BaseModel):
    """One entry of `unload`: what the application reads back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processors: ProcessorMap
    channels: Positive
    dim: Size
    offset: NonNegative
    width: Literal[8, 32] = 8
    write_gap: NonNegative = 0


class BufferDescription(BaseModel):
    """The entry of `data_buffer`: a window of earlier samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processors: ProcessorMap
    channels: Positive
    dim: Size
    offset: NonNegative
    name: StrictStr
    width: Literal[8, 32] = 8


class NetworkDescription(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: StrictStr
    dataset: StrictStr
    layers: Annotated[list[LayerDescription], Field(min_length=1)]
    output_map: ProcessorMap | None = None
    unload: list[UnloadDescription] | None = None
    bias: StrictStr | StrictInt | None = None
    weights: StrictStr | None = None
    snoop: Annotated[list[StrictInt], Field(min_length=32, max_length=32)] | None = None
    data_buffer: Annotated[list[BufferDescription], Field(min_length=1)] | None = None
