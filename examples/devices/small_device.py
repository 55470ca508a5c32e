"""A device of your own: `ai8xc compile NET.onnx --load small_device.py --device max78000_small`.

A backend is a device, the passes that lead to it, and a printer of files. This one takes all but
the device from the family's backend. It is found when this file is imported: give it by `--load`,
or name it in the entry-point group `ai8xc.backends` of a package of yours.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ai8xc.backends.ai8x.backend import Ai8xBackend
from ai8xc.backends.base import register


@register
class SmallMax78000(Ai8xBackend):
    """A MAX78000 whose memories are shared with another network."""

    device: ClassVar[str] = "max78000_small"
    data: ClassVar[Path | None] = Path(__file__).with_name("max78000_small")
    emits: ClassVar[frozenset[str]] = frozenset({"registers"})
