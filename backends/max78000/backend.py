"""MAX78000: the family's backend with this device's data."""

from typing import ClassVar

from ai8xc.backends.ai8x.backend import Ai8xBackend
from ai8xc.backends.base import register


@register
class Max78000(Ai8xBackend):
    """See `device.toml` and `registers.toml` beside this file."""

    device: ClassVar[str] = "max78000"
