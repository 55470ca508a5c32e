"""What the emulator tells about every executed layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Area:
    """The data words that a layer touched: the same range of words in each of some memories.

    `memories` are numbers 0 to 15 over the whole chip; `first` and `last` are word offsets.
    A tensor that a streaming layer hands to the next one without storing it is `stored = False`.
    """

    memories: tuple[int, ...]
    first: int
    last: int
    stored: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class LayerTrace:
    """One executed layer, in order of execution.

    `index` is the hardware layer, `operator` its name, `cycles` the model's CNN clock cycles (None
    where no model exists), `output` the values as integers, `(outputs, rows, columns)` int8 or
    int32. Outputs are in the order in which the layer computes them: output pass by output pass,
    each from the first column; depthwise and copying layers processor by processor.
    """

    index: int
    operator: str
    cycles: int | None
    read: Area
    written: Area
    output: NDArray[np.integer]
