"""Modes that would cost a network its place are not chosen: it fits as it did."""

from collections.abc import Sequence

import numpy as np

from ai8xc.device import Device, load_device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Data, Graph, Input, Mask, make_graph
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.types import TensorType
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.choose_modes import ChooseModes
from ai8xc.passes.placement.modes import most


def biased(first: int) -> Graph:
    """A layer with `first` biases, and behind it one that may compute four of 8 outputs at once."""
    x = Input(TensorType((1, 4, 6, 6), "i8"), name="x")

    def conv(name: str, source: ai8x.Layer | Input, outputs: int, place: ai8x.Place) -> ai8x.Layer:
        shape = (outputs, source.type.shape[1], 3, 3)
        weight = ai8x.Constant(Data(np.ones(shape, np.int8)), "i8")
        bias = ai8x.Constant(Data(np.arange(1, outputs + 1, dtype=np.int8)), "i8")
        return ai8x.Conv2d(xs=(source,), weight=weight, bias=bias, place=place, name=name)

    four, several, eight = Mask(0xF), Mask((1 << first) - 1), Mask(0xFF)
    a = conv("a", x, first, ai8x.Place(four, several, out_offset=256, kernel_start=0))
    b = conv("b", a, 8, ai8x.Place(several, eight, 256, 512, kernel_start=12))
    return make_graph("net", "ai8x", [x, a, b], [b])


def chosen(graph: Graph, device: Device) -> dict[str, bool]:
    """Which layers compute four outputs at once, when all biases fit."""
    found = run_pipeline(graph, [ChooseModes(readahead=False)], PassContext(device))
    ctx = PassContext(device)
    AllocateBiases().run(found, ctx)
    assert ctx.diagnostics == []
    return {layer.name: layer.mode.calcx4 for layer in ai8x.layers(found.ops)}


def test_biases_that_fill_their_memory_stay() -> None:
    """5 + 8 biases are 13 bytes; those of four outputs at once begin at byte 8 and end at 16."""
    device = load_device("max78002")
    assert chosen(biased(5), replace_biases(device, 16)) == {"a": False, "b": True}
    assert chosen(biased(5), replace_biases(device, 13)) == {"a": False, "b": False}
    assert chosen(biased(4), replace_biases(device, 12)) == {"a": True, "b": True}


def replace_biases(device: Device, size: int) -> Device:
    """The device with less bias memory in each group."""
    return device.model_copy(update={"bias_bytes_per_group": size})


def test_the_most_important_go_first() -> None:
    """Of weights that may sum to 10, the first ones are kept."""

    def fit(chosen: Sequence[int]) -> Sequence[int] | None:
        return chosen if sum(chosen) <= 10 else None

    assert most([6, 5, 4, 3], fit)[0] == [6, 4]
    assert most([11, 1, 1], fit)[0] == [1, 1]
    assert most([], fit) == ([], None)
    assert most([20], fit) == ([], None)
