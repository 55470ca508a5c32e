"""How the many layer classes are told from each other: a few class arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, get_args

from ai8xc.training.layers.errors import LayerError
from ai8xc.training.layers.limits import require
from ai8xc.training.layers.module import Activation, BatchNorm, HardwareLayer, NormSettings

Pooling = Literal["Max", "Avg"]
BatchNormChoice = BatchNorm | Literal["preset"] | None
"""`preset`: what the class stands for; None: no batch norm."""

EPS: Final = 1e-5
MOMENTUM: Final = 0.05


@dataclass(frozen=True)
class Preset:
    """What a class fixes: pool, activation, batch norm unless told otherwise, and depthwise."""

    pooling: Pooling | None = None
    activation: Activation | None = None
    batchnorm: BatchNorm | None = None
    depthwise: bool = False

    def chosen_pooling(self, given: Pooling | None) -> Pooling | None:
        """Return the pooling of a layer; raises `LayerError` when the class has another one."""
        require(given in (None, *get_args(Pooling)), "pooling", f"{given!r} is not Max or Avg")
        if given is not None and self.pooling not in (None, given):
            raise LayerError("pooling", f"this class pools by {self.pooling}, not by {given}")
        return given or self.pooling

    def chosen_activation(self, given: Activation | None) -> Activation | None:
        """Return the activation of a layer; raises `LayerError` when the class has another one."""
        require(given in (None, *get_args(Activation)), "activation", f"{given!r}: use ReLU or Abs")
        if given is not None and self.activation not in (None, given):
            raise LayerError("activation", f"this class has {self.activation}, not {given}")
        return given or self.activation

    def chosen_norm(
        self, given: BatchNormChoice, eps: float, momentum: float
    ) -> NormSettings | None:
        """Return the batch norm of a layer; raises `LayerError` for an unknown kind."""
        kind = self.batchnorm if given == "preset" else given
        known = (None, *get_args(BatchNorm))
        require(kind in known, "batchnorm", f"{kind!r}: use Affine, NoAffine or None")
        return None if kind is None else NormSettings(kind == "Affine", eps, momentum)


class PresetLayer(HardwareLayer):
    """A layer whose subclasses differ by class arguments.

    `class FusedConv2dReLU(Conv2d, activation="ReLU")` is all there is to such a class.
    """

    preset: ClassVar[Preset] = Preset()

    def __init_subclass__(
        cls,
        *,
        pooling: Pooling | None = None,
        activation: Activation | None = None,
        batchnorm: BatchNorm | None = None,
        depthwise: bool = False,
    ) -> None:
        super().__init_subclass__()
        own = cls.preset
        cls.preset = replace(
            own,
            pooling=pooling or own.pooling,
            activation=activation or own.activation,
            batchnorm=batchnorm or own.batchnorm,
            depthwise=depthwise or own.depthwise,
        )
