"""The architectures that come with the package. Source: training facts, section 6.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from torch import nn

from ai8xc.training.models.chains import CHAINS
from ai8xc.training.models.notation import Chain, Numbers

__all__ = ["MODELS", "ModelInfo"]

Factory = Callable[[Numbers], nn.Module]


@dataclass(frozen=True)
class ModelInfo:
    """An architecture: how it is built, for which input, classes and device it was made."""

    make: Factory
    shape: tuple[int, ...]
    classes: int
    device: str = "max78000"
    bias: bool = True

    def build(
        self, classes: int | None = None, channels: int | None = None, *, bias: bool | None = None
    ) -> nn.Module:
        """Return the network; needs a surrounding `layers.use_device`."""
        return self.make(
            Numbers(
                self.classes if classes is None else classes,
                self.shape[0] if channels is None else channels,
                self.bias if bias is None else bias,
            )
        )


def _chain(name: str) -> Factory:
    return partial(Chain, CHAINS[name])


MODELS: Final[Mapping[str, ModelInfo]] = {
    "ai85net5": ModelInfo(_chain("ai85net5"), (1, 28, 28), 10, bias=False),
    "ai85netextrasmall": ModelInfo(_chain("ai85netextrasmall"), (1, 28, 28), 10, bias=False),
    "digitsnet": ModelInfo(_chain("digitsnet"), (1, 8, 8), 10),
    "digitsautoencoder": ModelInfo(_chain("digitsautoencoder"), (1, 8, 8), 1),
    "watchnet": ModelInfo(_chain("watchnet"), (6, 128), 7),
}
