"""Element-wise layers: several operands of one shape, combined and clamped once at the end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ai8xc.training.layers import arithmetic, exchange, state
from ai8xc.training.layers.context import Mode, settings_for
from ai8xc.training.layers.errors import LayerError


class Elementwise(nn.Module):
    """A layer that combines one or more operands from left to right. It has no parameters.

    Attributes:
        device: `max78000` or `max78002`.
        mode: `float`, `qat` or `simulate`; changed by `set_mode`.
        exchanged: it simulates in real numbers, as other tools do.
    """

    def __init__(self) -> None:
        super().__init__()
        settings = settings_for(type(self).__name__)
        self.device = settings.device
        self.mode: Mode = settings.mode
        self.calibrated = False
        self.exchanged = False
        if settings.shift_rule == "calibrated":
            state.add_thresholds(self)

    def forward(self, *operands: Tensor) -> Tensor:
        """Return the combination, clamped to the range of the mode."""
        if not operands:
            raise LayerError("operands", f"{type(self).__name__} needs at least one operand")
        y = operands[0]
        for operand in operands[1:]:
            y = self._combined(y, operand)
        y = self._clamped(y)
        if self.calibrated and self.mode == "qat":
            return y * arithmetic.power_of_two(self.get_buffer("final_scale"))
        return y

    def _clamped(self, y: Tensor) -> Tensor:
        if self.exchanged:
            return exchange.rounded(y)
        if self.mode == "simulate":
            return y.clamp(-128, 127)
        return y if self.calibrated and self.mode == "float" else y.clamp(-1.0, 127 / 128)

    def _combined(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the entries that later revisions of the vendor's checkpoints have."""
        names = state.THRESHOLDS
        if not self.calibrated and any(prefix + name in state_dict for name in names):
            state.add_thresholds(self)
        for name in names if self.calibrated else ():
            state_dict.setdefault(prefix + name, self.get_buffer(name).clone())
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
        scale = 1 if self.mode == "simulate" and not self.exchanged else 128
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
