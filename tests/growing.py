"""A graph of integers that grows by one op at a time, for makers of random networks."""

import numpy as np

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Op
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import INTEGER_RANGE


class Growing:
    """`value` is the last result, `earlier` all that a later op may read."""

    def __init__(self, source: Op, arrays: np.random.Generator) -> None:
        self.arrays = arrays
        self.count = 0
        self.value = source
        self.ops: list[Op] = [source]
        self.earlier: list[Op] = [source]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.type.shape

    @property
    def rank(self) -> int:
        return len(self.shape) - 2

    def both(self, value: int) -> tuple[int, ...]:
        return (value,) * self.rank

    def then(self, cls: type[Op], *args: object, **kwargs: object) -> Op:
        """Add an op and make it the last value."""
        self.count += 1
        name = f"v{self.count}"
        self.value = cls(*args, **kwargs, name=name, loc=Loc("", (name,)))
        self.ops.append(self.value)
        self.earlier.append(self.value)
        return self.value

    def constant(self, shape: tuple[int, ...], element: str = "i8") -> Op:
        low, high = INTEGER_RANGE[element]
        self.count += 1
        values = self.arrays.integers(low, high + 1, shape)
        if element == "bin":
            values = 2 * (values > 0) - 1
        made = q.Constant(Data(values.astype(np.int8)), element, name=f"c{self.count}")
        self.ops.append(made)
        return made
