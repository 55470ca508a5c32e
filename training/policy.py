"""Policies of quantisation-aware training: when it starts, and how wide each layer's weights are.

The files are the vendor's (training facts, section 2.1), but nothing in them is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat

from ai8xc.training.yaml_file import read_yaml

Bits = Literal[1, 2, 4, 8]
Quantile = Annotated[float, Field(ge=0, le=1)]


class LayerPolicy(BaseModel):
    """What one layer has otherwise than the rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight_bits: Bits | None = None
    shift_quantile: Quantile | None = None


class QatPolicy(BaseModel):
    """A policy of quantisation-aware training.

    Attributes:
        start_epoch: the epoch before which QAT starts; 0 starts with it.
        weight_bits: bits of weights and biases.
        shift_quantile: quantile of the absolute weights and biases that the shift is made for;
            less than 1 saturates outliers.
        overrides: dotted name of a layer to what it has otherwise.
        outlier_removal_z_score: activations further from their mean than so many standard
            deviations are ignored when thresholds are calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_epoch: NonNegativeInt
    weight_bits: Bits
    shift_quantile: Quantile = 1.0
    overrides: Mapping[str, LayerPolicy] = Field(default_factory=dict)
    outlier_removal_z_score: PositiveFloat = 8.0

    def bits(self, layer: str) -> int:
        """Return the weight bits of a layer."""
        return self.overrides.get(layer, _NOTHING).weight_bits or self.weight_bits

    def quantile(self, layer: str) -> float:
        """Return the shift quantile of a layer."""
        own = self.overrides.get(layer, _NOTHING).shift_quantile
        return self.shift_quantile if own is None else own


_NOTHING: Final = LayerPolicy()
DEFAULT: Final = QatPolicy(start_epoch=30, weight_bits=8)


def read_policy(path: Path) -> QatPolicy:
    """Return the policy in a YAML file; raises `Rejected` (unusable) with every finding."""
    return read_yaml(path, QatPolicy)
