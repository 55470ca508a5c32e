"""Element-wise layers: several operands of one shape, combined and clamped once at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ai8xc.training.layers.context import Mode, settings_for
from ai8xc.training.layers.errors import LayerError


class Elementwise(nn.Module):
    """A layer that combines one or more operands from left to right. It has no parameters.

    Attributes:
        device: `max78000` or `max78002`.
        mode: `float`, `qat` or `simulate`; changed by `set_mode`.
    """

    def __init__(self) -> None:
        super().__init__()
        settings = settings_for(type(self).__name__)
        self.device = settings.device
        self.mode: Mode = settings.mode
        self.calibrated = False
        if settings.shift_rule == "calibrated":
            self._add_thresholds()

    def _add_thresholds(self) -> None:
        self.calibrated = True
        self.register_buffer("activation_threshold", torch.zeros(()))
        self.register_buffer("clamp_activation", torch.zeros(1, dtype=torch.bool))

    def forward(self, *operands: Tensor) -> Tensor:
        """Return the combination, clamped to the range of the mode."""
        if not operands:
            raise LayerError("operands", f"{type(self).__name__} needs at least one operand")
        y = operands[0]
        for operand in operands[1:]:
            y = self._combined(y, operand)
        return self._clamped(y)

    def _clamped(self, y: Tensor) -> Tensor:
        if self.mode == "simulate":
            return y.clamp(-128, 127)
        return y if self.calibrated and self.mode == "float" else y.clamp(-1, 127 / 128)

    def _combined(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the entries that later revisions of the vendor's checkpoints have."""
        names = ("activation_threshold", "clamp_activation")
        if not self.calibrated and any(prefix + name in state_dict for name in names):
            self._add_thresholds()
        for name in names if self.calibrated else ():
            state_dict.setdefault(prefix + name, getattr(self, name).clone())
        state_dict.pop(f"{prefix}final_scale", None)  # such a layer has no parameters to scale
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Add(Elementwise):
    """Sum of the operands."""

    def _combined(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Sub(Elementwise):
    """First operand minus the others."""

    def _combined(self, x: Tensor, y: Tensor) -> Tensor:
        return x - y


class _Bitwise(Elementwise):
    """An operation on the 8-bit two's complement of the operands; it has no gradient."""

    def _combined(self, x: Tensor, y: Tensor) -> Tensor:
        scale = 1 if self.mode == "simulate" else 128
        a, b = (torch.floor(v.detach() * scale + 0.5).clamp(-128, 127).int() for v in (x, y))
        return self._bits(a, b).to(x.dtype) / scale

    def _bits(self, a: Tensor, b: Tensor) -> Tensor:
        raise NotImplementedError


class BitwiseOr(_Bitwise):
    """Bitwise or of the operands' 8-bit patterns."""

    def _bits(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.bitwise_or(a, b)


class BitwiseXor(_Bitwise):
    """Bitwise exclusive or of the operands' 8-bit patterns."""

    def _bits(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.bitwise_xor(a, b)
