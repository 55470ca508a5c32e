"""Text and graphs are the same thing: print, read, print gives the same text."""

import sys
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ai8xc.grammar.reader import read_graph
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.printer import constants, print_graph
from ai8xc.plugins import load_dialects

sys.path.insert(0, str(Path(__file__).parent))

from graphs import float_graphs

load_dialects()
TEXTS = [path.read_text() for path in (Path(__file__).parents[1] / "every_op").glob("*.ir")]


@settings(max_examples=60, deadline=None)
@given(float_graphs())
def test_print_read_print(graph: Graph) -> None:
    text = print_graph(graph)
    assert print_graph(read_graph(text, "net.ir", constants(graph))) == text


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_text_is_read_or_rejected(data: st.DataObject) -> None:
    """One stretch of a valid text replaced by another: a graph or findings, nothing else."""
    text = data.draw(st.sampled_from(TEXTS))
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    source = data.draw(st.integers(0, len(text) - 10))
    other = st.one_of(st.text(max_size=5), st.just(text[source : source + 10]))
    with suppress(Rejected):
        print_graph(read_graph(text[:start] + data.draw(other) + text[stop:], "net.ir"))
