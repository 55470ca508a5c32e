"""What a user may do wrong with a layer."""

from __future__ import annotations


class LayerError(ValueError):
    """A layer that the device cannot have, or a state it cannot be brought into.

    `argument` is the constructor argument or the entry at fault.
    """

    def __init__(self, argument: str, message: str) -> None:
        self.argument = argument
        super().__init__(f"`{argument}`: {message}")


class DeviceNotSetError(LayerError):
    """A layer was built without a device to build it for."""

    def __init__(self, layer: str) -> None:
        super().__init__(
            "device", f"build `{layer}` inside `with layers.use_device(...)`: it has limits to keep"
        )
