"""What `cnn_unload` returns: all outputs, channel by channel, as words.

Source: memory description, section 3.7 (its plain order; the vendor's differs where it is wrong).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai8xc.ir.types import Array


def unload_words(outputs: Sequence[Array]) -> Array:
    """Return outputs (int8 or int32, any shape) one behind the other, padded to whole words."""
    data = b"".join(np.ascontiguousarray(output).tobytes() for output in outputs)
    return np.frombuffer(data + bytes(-len(data) % 4), "<u4").astype(np.uint32)
