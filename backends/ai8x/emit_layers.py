"""`layers.npz`: what each hardware layer gives for the sample, and its data behind pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ai8xc.dialects import ai8x
from ai8xc.ir.core import Op
from ai8xc.ir.interp import values
from ai8xc.ir.prove import feed
from ai8xc.ir.types import Array
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.sample import Sample


def layer_arrays(network: HardwareNetwork, sample: Sample) -> dict[str, Array]:
    """Return integers by `NN_layer` (what it gives) and `NN_layer.pooled`, channels first.

    The second is there where a layer pools or combines operands before its multipliers.
    """
    return dict(_arrays(network, sample))


def _arrays(network: HardwareNetwork, sample: Sample) -> Iterator[tuple[str, Array]]:
    known: dict[Op, Array] = {}
    numbers = {layer.op: layer.number for layer in network.sequence}
    for op, value in values(network.graph, feed(network.graph, sample.values)):
        known[op] = value
        if not isinstance(op, ai8x.Layer):
            continue
        name = f"{numbers[op]:02}_{op.name}"
        if op.pool is not None or op.parts > 1:
            prepared = op.prepare([known[x] for x in op.xs])
            yield f"{name}.pooled", prepared[0].astype(np.int32)
        yield name, value[0].astype(np.int32)
