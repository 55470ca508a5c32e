"""The schema of a device description: everything a pass may ask about a chip.

A description is data (`backends/<device>/device.toml`). Sources of the numbers stand in that file.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from ai8xc.data_files import device_folders, read_description

Feature = Literal[
    "average-reset-layer",  # average pooling after an element-wise layer needs a reset layer
    "binary-weights",  # weights of +1 and -1
    "bypass",  # convolution with all weights +1
    "calcx4",  # four output channels per cycle
    "conv1d-multipass-pad",  # padded conv1d with more than one input pass
    "cycle-model",  # the cycles of a layer are known
    "depthwise",
    "eltwise-conv-bias",  # element-wise, convolution and bias in one layer
    "fifo-go",  # start before the first FIFO word
    "flatten-bias-first",  # biases of flatten layers are placed first
    "link-layer",  # jumps between layers
    "multipass-eltwise-limit",  # operands times passes need an emulation
    "one-shot",  # stop after every layer
    "pipeline",
    "pll",
    "pool-dilation",
    "read-gap",
    "readahead",
    "register-clear",  # registers must be cleared after power-up
    "snoop",
    "stream-bias",  # bias in streaming layers
    "stream-final-unpadded",  # the last streaming layer may have no padding
    "stream-passthrough",  # streaming layers without convolution
    "tcalc",  # passes in groups of four
]


class Frozen(BaseModel):
    """A value that cannot change and takes no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StreamingLimits(Frozen):
    """Widths of the streaming counters; every `*_limit` is the first value that does not fit."""

    layers: PositiveInt
    start_limit: PositiveInt
    delta1_limit: PositiveInt
    delta2_limit: PositiveInt
    invol_limit: PositiveInt
    rollover_limit: PositiveInt
    tram_limit: PositiveInt


class FifoLimits(Frozen):
    """What the input FIFOs carry."""

    fifos: PositiveInt
    channels_hwc: PositiveInt
    channels_chw: PositiveInt
    fast_channels_hwc: PositiveInt
    fast_channels_chw: PositiveInt
    frame_limit: PositiveInt


class Clocks(Frozen):
    """Frequencies in MHz; `pll` is 0 when the chip has none."""

    system: PositiveInt
    apb: PositiveInt
    pll: NonNegativeInt
    max_without_pipeline: PositiveInt
    max_divider: PositiveInt


class Device(Frozen):
    """Everything a pass may ask about a chip.

    A `max_*` number is allowed; a `*_limit` is the first number that is not.
    """

    name: str
    aliases: frozenset[str]
    features: frozenset[Feature]
    clocks: Clocks
    streaming: StreamingLimits
    fifo: FifoLimits

    groups: PositiveInt
    processors_per_group: PositiveInt
    processors_per_memory: PositiveInt
    max_layers: PositiveInt
    max_start_layer: NonNegativeInt

    data_memory_bytes: PositiveInt
    data_subinstance_bytes: PositiveInt
    offset_limit: PositiveInt
    kernel_columns: PositiveInt
    kernel_columns_large: PositiveInt
    large_processor_step: PositiveInt
    kernel_instance_columns: PositiveInt
    kernel_instance_columns_large: PositiveInt
    kernel_bytes_per_column: PositiveInt
    kernel_alignment: PositiveInt
    mask_count_limit: PositiveInt
    bias_bytes_per_group: PositiveInt
    tram_words: PositiveInt

    max_channels: PositiveInt
    max_passes: PositiveInt
    max_rows: PositiveInt
    max_columns: PositiveInt
    max_padded: PositiveInt | None = None
    position_limit: PositiveInt | None = None
    frame_limit: PositiveInt

    kernel_sizes_2d: frozenset[tuple[int, int]]
    kernel_sizes_transposed: frozenset[tuple[int, int]]
    max_kernel_1d: PositiveInt
    max_pad: NonNegativeInt
    max_dilation_1d: PositiveInt
    max_stretched_kernel_1d: PositiveInt
    max_kernel_1d_on_2d: PositiveInt
    transposed_stride: PositiveInt
    transposed_output_pad: PositiveInt

    max_pool: PositiveInt
    max_pool_stride: PositiveInt
    max_pool_stride_transposed: PositiveInt
    max_pool_dilation: PositiveInt
    max_pool_passes: PositiveInt
    max_operands: PositiveInt
    max_operands_pool_last: PositiveInt

    max_flatten_pixels: PositiveInt
    max_flatten_inputs: PositiveInt
    weight_bits: frozenset[int]
    output_widths: frozenset[int]
    min_shift: int
    max_shift: int
    write_step_limit: PositiveInt

    @property
    def processors(self) -> int:
        """Processors of the whole chip, which are also the channels of one pass."""
        return self.groups * self.processors_per_group

    @property
    def memories(self) -> int:
        """Data memories of the whole chip, one for `processors_per_memory` processors."""
        return self.processors // self.processors_per_memory

    @property
    def data_bytes(self) -> int:
        """Data memory of the whole chip in bytes."""
        return self.memories * self.data_memory_bytes

    @property
    def kernel_bytes(self) -> int:
        """Kernel memory of the whole chip in bytes."""
        columns = sum(self.kernel_columns_of(p) for p in range(self.processors))
        return columns * self.kernel_bytes_per_column

    @property
    def bias_bytes(self) -> int:
        """Bias memory of the whole chip in bytes."""
        return self.groups * self.bias_bytes_per_group

    def kernel_columns_of(self, processor: int) -> int:
        """Kernel columns (of `kernel_bytes_per_column` bytes) of one processor."""
        large = processor % self.large_processor_step == 0
        return self.kernel_columns_large if large else self.kernel_columns

    def has(self, feature: Feature) -> bool:
        """True when the chip can do it."""
        return feature in self.features

    @classmethod
    def load(cls, path: Path) -> "Device":
        """The description in a `device.toml` file; pydantic's ValidationError when it is wrong."""
        return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def device_names() -> tuple[str, ...]:
    """The names of the known devices, sorted."""
    return tuple(device_folders())


def canonical_name(name: str) -> str:
    """The device that `name` or one of its aliases means, in any case.

    Raises KeyError, with the names there are, for an unknown device.
    """
    wanted = name.lower()
    for device in device_names():
        if wanted in (device, *load_device(device).aliases):
            return device
    raise KeyError(f"no device `{name}`; there are {', '.join(device_names())}")


def load_device(name: str) -> Device:
    """The description of a known device by name or alias; KeyError when there is none."""
    return _described(name if name in device_names() else canonical_name(name))


@cache
def _described(device: str) -> Device:
    return Device.model_validate(read_description(device))
