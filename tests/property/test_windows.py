"""Windows, joins and matrices of any size: placed layers with the same numbers, or findings."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from ai8xc import checker
from ai8xc.device import load_device
from ai8xc.dialects import q
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Rejected, errors
from ai8xc.ir.passes import PassContext, PassSpec, build, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_passes

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import Maker, conv
from test_placement import same

load_passes()


def window(m: Maker) -> None:
    """A convolution with any window that fits the data."""
    rank, layer = m.rank, m.layer()
    kernel = tuple(m.pick(1, 7) for _ in range(rank))
    strides = m.both(m.of([1, 1, 1, 2, 3]))
    dilations = m.both(m.of([1, 1, 1, 2, 3, 4]))
    pads = tuple(m.pick(0, k) for k in (*kernel, *kernel))
    if m.flag():
        pads = tuple((k - 1) * d // 2 for k, d in zip(kernel, dilations, strict=True)) * 2
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    sizes = zip(m.shape[2:], pads[:rank], pads[rank:], reach, strict=True)
    if any(size + b + e < r for size, b, e, r in sizes):
        return
    channels = m.shape[1]
    groups = m.of([1, 1, channels])
    weight = m.constant((channels, channels // groups, *kernel), str(layer.pop("element")))
    bias = m.constant((channels,)) if m.flag() else None
    m.then(q.Conv, m.value, weight, bias, strides, pads, dilations, groups, **layer)


def spread(m: Maker) -> None:
    """A transposed convolution of any window."""
    if m.rank != 2:
        return
    layer = m.layer()
    kernel, stride = m.pick(1, 6), m.of([1, 2, 2, 4])
    pad = m.pick(0, max(0, kernel - 1) // 2)
    extra = m.pick(0, stride - 1)
    weight = m.constant((m.shape[1], 4, kernel, kernel), str(layer.pop("element")))
    m.then(
        q.ConvTranspose,
        m.value,
        weight,
        strides=m.both(stride),
        pads=m.both(pad) * 2,
        output_padding=m.both(extra),
        **layer,
    )


def cut(m: Maker) -> None:
    """A part of the channels, rows and columns."""
    bounds = [(0, 1)]
    for size in m.shape[1:]:
        low = m.pick(0, min(2, size - 1))
        bounds.append((low, m.pick(low + 1, size)))
    starts, ends = zip(*bounds, strict=True)
    m.then(q.Slice, m.value, starts, ends, (1,) * len(bounds))


def surround(m: Maker) -> None:
    """Zeros around rows and columns."""
    pads = [m.pick(0, 3) for _ in range(2 * m.rank)]
    m.then(q.Pad, m.value, (0, 0, *pads[: m.rank], 0, 0, *pads[m.rank :]))


def join(m: Maker) -> None:
    """Layers of any number of channels, side by side."""
    start, parts = m.value, []
    for _ in range(m.pick(2, 4)):
        m.value = start
        conv(m, m.of([4, 12, 23, 24, 40, 64, 96]), kernel=1)
        parts.append(m.value)
    sizes = {part.type.shape[2:] for part in parts}
    if len(sizes) == 1:
        m.then(q.Concat, tuple(parts))
        conv(m, 4, kernel=1)


def matrix(m: Maker) -> None:
    """A matrix on all values."""
    values = int(np.prod(m.shape[1:]))
    m.then(q.Reshape, m.value, (1, values))
    m.then(q.Linear, m.value, m.constant((3, values)), output_shift=-5)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    rank = draw(st.sampled_from([1, 2, 2]))
    channels = draw(st.sampled_from([1, 3, 4, 8, 33]))
    shape = (1, channels, *(draw(st.integers(4, 18)) for _ in range(rank)))
    m = Maker(draw, shape)
    kinds = [window, window, window, spread, cut, surround, join, conv]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3)):
        kind(m)
    if draw(st.booleans()):
        matrix(m)
    outputs: list[Op] = [m.value]
    return make_graph("random", "q", m.ops, outputs)


@pytest.mark.parametrize("name", ["max78000", "max78002"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(), st.integers(0, 2**16))
def test_windows_mean_the_same(name: str, graph: Graph, seed: int) -> None:
    device = load_device(name)
    note(print_graph(graph))
    passes = build([PassSpec(step) for step in PIPELINES["layers"].split(",")])
    try:
        after = run_pipeline(graph, passes, PassContext(device))
    except Rejected as rejected:
        found = {finding.rule.id for finding in errors(rejected.diagnostics)}
        event(f"refused: {sorted(found)}")
        if "AX130" in found:  # the checker: a mistake of the placement
            raise
        return
    note(print_graph(after))
    assert not checker.check(after, device)
    same(graph, after, seed)
