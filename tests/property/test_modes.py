"""Random networks of convolutions on MAX78002: layers run in the fast modes and compute the same.

Kernels of four outputs at once lie in four memories, data of layers that read ahead in different
parts of them: the byte-level checker, which knows the layouts, and the emulator must agree.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st

from ai8xc.device import Device, load_device
from ai8xc.dialects import ai8x, q
from ai8xc.driver import Options, compile_graph, passes_of
from ai8xc.ir.core import Graph, make_graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_passes

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import Maker, conv
from test_firmware import examples, prove

load_passes()

PART = 16384
"""Bytes of the parts of a data memory (semantics 2.12, RDA-INST)."""


@st.composite
def convolutions(draw: st.DrawFn) -> Graph:
    """3x3 and some 1x1 convolutions with weights of all widths, pools and a branch."""
    channels = draw(st.sampled_from([1, 3, 4, 12, 16, 64, 100, 128]))
    size = draw(st.integers(5, 16))
    m = Maker(draw, (1, channels, size, size))
    for _ in range(draw(st.integers(1, 4))):
        conv(m, m.of([4, 8, 12, 16, 20, 64, 128, 192, 6, 100]), kernel=m.of([3, 3, 3, 1]))
        if min(m.shape[2:]) > 4 and m.flag():
            m.then(m.draw(st.sampled_from([q.MaxPool, q.AveragePool])), m.value, (2, 2), (2, 2))
    return make_graph("net", "q", m.ops, [m.value])


def placed(graph: Graph, device: Device, choose: str = "choose-modes") -> list[ai8x.Layer]:
    """The placed layers, which the byte-level checker accepts."""
    text = PIPELINES["layers"].replace("choose-modes", choose)
    return ai8x.layers(run_pipeline(graph, passes_of(text), PassContext(device)).ops)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(convolutions())
def test_fast_modes_compute_the_same(graph: Graph) -> None:
    note(print_graph(graph))
    device = load_device("max78002")
    said: list[str] = []
    options = Options("max78002", emit=frozenset({"registers"}), prove=said.append)
    compile_graph(graph, options)
    assert "proven: lower-to-reg" in said[-1]
    for layer in placed(graph, device):
        fours = isinstance(layer, ai8x.Conv2d) and layer.kernel == (3, 3)
        outputs = layer.type.shape[1]
        assert layer.mode.calcx4 == (fours and outputs % (64 if outputs > 64 else 4) == 0)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(convolutions())
def test_what_reads_ahead_writes_elsewhere(graph: Graph) -> None:
    """Small networks leave room: every 3x3 convolution reads ahead, except of a CHW input."""
    note(print_graph(graph))
    device = load_device("max78002")
    for layer in placed(graph, device):
        window = isinstance(layer, ai8x.Conv2d) and layer.kernel == (3, 3)
        assert layer.mode.readahead == (window and not layer.mode.chw)
        if not layer.mode.readahead:
            continue
        assert layer.place is not None
        passes = -(-layer.in_shape[0] // 64), -(-layer.type.shape[1] // 64)
        _, rows, columns = layer.in_shape
        read = layer.place.in_offset, layer.place.in_offset + 4 * rows * columns * passes[0]
        _, _, rows, columns = layer.type.shape
        written = layer.place.out_offset, layer.place.out_offset + 4 * rows * columns * passes[1]
        assert not parts(*read) & parts(*written)


def parts(first: int, end: int) -> set[int]:
    """The parts of the memories that some bytes lie in."""
    return set(range(first // PART, (end - 1) // PART + 1))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(convolutions(), st.data())
def test_what_fits_without_the_modes_fits_with_them(graph: Graph, data: st.DataObject) -> None:
    """On devices with little memory some layers cannot run faster, and nothing is refused."""
    note(print_graph(graph))
    device = load_device("max78002")
    plain = placed(graph, device, "choose-modes{readahead=false,calcx4=false}")
    ends = [layer.place.kernel_start for layer in plain if layer.place and layer.place.kernel_start]
    columns = max(ends, default=0) // 16 * 16 + 16 * data.draw(st.integers(1, 40))
    tight = device.model_copy(
        update={
            "data_memory_bytes": data.draw(st.sampled_from([4096, 8192, 16384])),
            "data_subinstance_bytes": 2048,
            "kernel_columns": columns,
            "kernel_columns_large": columns,
            "kernel_instance_columns": columns // 4,
        }
    )
    try:
        placed(graph, tight, "choose-modes{readahead=false,calcx4=false}")
    except Rejected:
        assume(False)
    layers = placed(graph, tight)
    event(f"{sum(layer.mode.calcx4 for layer in layers)} of {len(layers)} by fours")
    event(f"{sum(layer.mode.readahead for layer in layers)} of {len(layers)} ahead")


@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None, reason="gcc-arm-none-eabi is not installed"
)
@examples(3)
@given(convolutions(), st.integers(0, 2**16))
def test_firmware_computes_the_same(graph: Graph, seed: int) -> None:
    note(print_graph(graph))
    assert prove("max78002", graph, seed, "firmware")
