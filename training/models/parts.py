"""What a device computes of a network whose last steps are the host's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

Outputs = Tensor | tuple[Tensor, ...]
Shape = tuple[int, ...]


class Part(nn.Module):
    """What one program of the device computes of a network: one of its methods."""

    def __init__(self, net: nn.Module, step: Callable[[Tensor], Outputs]) -> None:
        super().__init__()
        self.net = net
        self.step = step

    def forward(self, x: Tensor) -> Outputs:
        """Return what the device computes."""
        return self.step(x)


class Hosted(nn.Module, ABC):
    """A network that the host ends: it moves numbers only, or adds a layer in software."""

    @abstractmethod
    def on_device(self, x: Tensor) -> Outputs:
        """Return what the device computes."""

    def programs(self, shape: Shape) -> list[tuple[nn.Module, Shape]]:
        """Return the programs of the device, each with the shape of its input."""
        return [(Part(self, self.on_device), shape)]


def programs(net: nn.Module, shape: Shape) -> list[tuple[nn.Module, Shape]]:
    """Return what is compiled of a network for inputs of a shape, and the input of each program.

    That is the network itself, where the host does nothing and one program is enough.
    """
    return net.programs(shape) if isinstance(net, Hosted) else [(net, shape)]


def device_part(net: nn.Module) -> nn.Module:
    """Return what the device computes of a network, or its first program."""
    return programs(net, ())[0][0]
