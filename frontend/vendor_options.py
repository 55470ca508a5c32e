"""What is said about a described network outside of its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ai8xc.device import Device
from ai8xc.frontend.vendor_parameters import NOTHING, Skip


@dataclass(frozen=True)
class NetworkOptions:
    """Files and options that go with a description.

    `weights` and `bias` are files; `input_shape` is that of the sample (C x H x W or C x L).
    `skip` names weights that are not for this network, `skip_layers` the number of layers at the
    beginning that are left out. The run goes from `start_layer` to `stop_after`. `no_bias` lists
    layers without biases, None all of them. The others replace values of the start layer
    (`input_offset`), of the last layer (`output_width`) or of all layers. Without
    `ignore_bias_groups`, biases lie in the groups that layers want them in. `network` are settings
    of the run by field (`ai8xc.dialects.settings`).
    """

    device: Device | None = None
    weights: Path | None = None
    bias: Path | None = None
    input_shape: tuple[int, ...] | None = None
    network: Mapping[str, object] = field(default_factory=dict)
    skip: Skip = NOTHING
    skip_layers: int = 0
    start_layer: int = 0
    stop_after: int | None = None
    input_offset: int | None = None
    output_width: int | None = None
    no_bias: frozenset[int] | None = frozenset()
    ignore_activation: bool = False
    ignore_streaming: bool = False
    streaming_layers: frozenset[int] = frozenset()
    readahead: bool = False
    calcx4: bool = False
    ignore_bias_groups: bool = False

    @property
    def average_rounding(self) -> bool:
        """Whether average pools round."""
        return bool(self.network.get("average_rounding"))

    def without_bias(self, layer: int) -> bool:
        """Whether the biases of a layer are ignored."""
        return self.no_bias is None or layer in self.no_bias
