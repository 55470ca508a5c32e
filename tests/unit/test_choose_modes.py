"""Modes that would cost a network its place are not chosen: it fits as it did."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from vendor_command import play, write

from ai8xc.backends.emulator import Emulator
from ai8xc.device import Device, load_device
from ai8xc.dialects import ai8x
from ai8xc.driver import Options, compile_graph, load
from ai8xc.ir.core import Data, Graph, Input, Mask, make_graph
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.types import TensorType
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.choose_modes import ChooseModes
from ai8xc.passes.placement.modes import most

NETWORKS = Path(__file__).parents[1] / "e2e" / "networks"
COLUMNS_OF_A_PROCESSOR = 0x20000
"""Bytes of the addresses of one processor's kernels (memory description, section 1.1)."""


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


def test_what_the_vendors_tool_shall_read_leaves_out_four_at_once() -> None:
    """It may store two of their kernels in one column; reading ahead it does well."""
    graph = load(NETWORKS / "cifar_nas.ir")
    both = compile_graph(graph, Options("max78002", emit=frozenset({"registers"})))
    options = Options("max78002", emit=frozenset({"registers", "yaml"}))
    files = compile_graph(graph, options).files
    (text,) = (files[name].decode() for name in files if name.endswith(".yaml"))
    layers = json.loads(both.files["ai8xc.json"])["layers"]
    assert sum(layer["calcx4"] for layer in layers) > 0
    assert "calcx4" not in text
    assert text.count("readahead: true") == sum(layer["readahead"] for layer in layers)


def test_least_cycles_are_a_quarter_with_four_at_once() -> None:
    """16 outputs of 16x16 pixels: one a cycle, or four; the matrix of 10 takes ten."""
    graph = load(NETWORKS / "resnet_fused.ir")
    options = Options("max78002", emit=frozenset({"registers"}))
    found = json.loads(compile_graph(graph, options).files["ai8xc.json"])
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert (layers["conv2"]["shape"], layers["conv2"]["calcx4"]) == ([16, 16, 16], True)
    assert layers["conv2"]["least_cycles"] == 16 * 16 * 16 // 4
    assert layers["fc1"]["least_cycles"] == 10
    assert found["least_cycles"] == sum(layer["least_cycles"] for layer in layers.values())
    assert found["cycles"] is None


@pytest.mark.parametrize("memory", [0, 1, 2, 3])
def test_a_quarter_of_the_kernels_that_was_not_loaded_is_reported(memory: int) -> None:
    """Every fourth output reads its kernels from a memory of 1,024 columns of its own."""
    files = compile_graph(
        load(NETWORKS / "resnet_fused.ir"), Options("max78002", emit=frozenset({"registers"}))
    ).files
    functions = {f["name"]: f["writes"] for f in json.loads(files["registers.json"])["functions"]}
    with np.load(io.BytesIO(files["memory.npz"])) as stored:
        arrays = dict(stored)
    column = arrays["weights_address"] % COLUMNS_OF_A_PROCESSOR // 16
    left = column // 1024 != memory
    arrays["weights_address"] = arrays["weights_address"][left]
    arrays["weights_value"] = arrays["weights_value"][left]
    emulator = Emulator("max78002")
    play(emulator, functions["cnn_init"])
    write(emulator, arrays, "weights")
    write(emulator, arrays, "bias")
    play(emulator, functions["cnn_configure"])
    write(emulator, arrays, "input")
    play(emulator, functions["cnn_start"])
    found = {finding.layer for finding in emulator.findings if finding.kind == "uninitialised"}
    assert 0 in found
