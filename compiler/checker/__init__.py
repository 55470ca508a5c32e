"""The second opinion on a placement: replays it byte by byte and knows nothing of its search.

Every byte of every data memory holds a label: which tensor, channel and pixel it is. Layers are
executed on labels in their order: what a layer reads must be what its meaning says, what it writes
replaces what was there. Kernel columns and bias bytes are marked as used in the same way. Layouts
are those of the memory description, sections 1.6, 1.7, 2.1, 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping

from ai8xc.checker.replay import Replay
from ai8xc.device import Device
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic


def check(
    graph: Graph, device: Device, buffers: Mapping[Op, int] | None = None
) -> list[Diagnostic]:
    """Return what is wrong with the places of a graph of level ai8x; nothing when all is well.

    `buffers` are the words of the rolling buffer of each layer that streams.
    """
    return list(Replay(graph, device, buffers or {}).run())
