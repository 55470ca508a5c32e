"""The streaming registers; source: register description, sections 6.2 to 6.4."""

from __future__ import annotations

from collections.abc import Mapping

from ai8xc.backends.ai8x.layer_context import Fields, LayerContext
from ai8xc.passes.hardware.streaming import input_words, stream_counters


def stream_fields(c: LayerContext) -> Mapping[str, Fields | None]:
    """Return the fields of STREAM1, STREAM2, FMAX and IFRM; None for those not written."""
    settings = c.network.settings
    starts = c.is_start and settings.fifo
    if c.layer.slot >= c.device.streaming.layers and not c.layer.streaming:
        return {}  # layers beyond the streaming ones have no such registers
    counters = stream_counters(c.network, c.layer)
    first: dict[str, int] = {"start": counters.start}
    if c.has_field("STREAM1", "fifo_go"):
        first["fifo_go"] = int(starts and settings.fifo_go)
    second = {
        "invol": counters.passes_before,
        "delta1": counters.delta1,
        "delta2": counters.delta2,
    }
    wraps = c.layer.streaming and settings.fifo
    words = input_words(c.layer) if starts else 0
    return {
        "STREAM1": first,
        "STREAM2": second,
        "FMAX": {"rollover": counters.rollover} if wraps else None,
        "IFRM": {"words": words} if starts else None,
    }
