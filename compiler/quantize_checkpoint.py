"""Quantises a checkpoint file: the reader of the front end, the quantiser, the writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from ai8xc.frontend.checkpoint import Opaque, read_checkpoint
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array
from ai8xc.training import qat_rules
from ai8xc.training.checkpoint_file import checkpoint_bytes
from ai8xc.training.checkpoint_names import current_names, network_entries
from ai8xc.training.quantizer import (
    QuantizedState,
    QuantizerOptions,
    fold_batch_norms,
    layer_names,
    quantize_state,
)
from ai8xc.training.yaml_file import read_yaml

WITHOUT_WEIGHTS: Final = frozenset(
    {"none", "passthrough"}
    | {"add", "sub", "or", "bitwiseor", "bitwise_or", "xor", "bitwisexor", "bitwise_xor"}
)
"""Operators of the vendor's network descriptions that have no weights (semantics, section 3.3)."""

DEFAULT_EPS: Final = 1e-5
"""Of the batch norms of the vendor's layers."""

_DROPPED: Final = (
    *("optimizer_state_dict", "optimizer_type", "optimizer_states", "lr_schedulers"),
    *("loops", "callbacks", "global_step", "pytorch-lightning_version", "quantized", "folded"),
)
"""Entries about training that mean nothing for integers."""


class _Layer(BaseModel):
    """What a description says about a layer's weights."""

    model_config = ConfigDict(extra="allow")

    op: str = Field(
        "conv2d", validation_alias=AliasChoices("op", "operation", "operator", "convolution")
    )
    quantization: Literal[1, 2, 4, 8] | None = None
    weight_source: int | str | None = None

    @property
    def has_weights(self) -> bool:
        """Whether the layer has weights of its own in the checkpoint."""
        return self.op.lower() not in WITHOUT_WEIGHTS and self.weight_source is None


class _Network(BaseModel):
    """A network description, as far as weights are concerned."""

    model_config = ConfigDict(extra="allow")

    layers: list[_Layer]


@dataclass(frozen=True)
class Quantized:
    """A quantised checkpoint: the file, what became of each layer, and warnings."""

    data: bytes
    state: QuantizedState
    diagnostics: tuple[Diagnostic, ...]


def quantize_checkpoint(
    path: Path, options: QuantizerOptions, *, description: Path | None = None
) -> Quantized:
    """Return a checkpoint with integers in place of its parameters.

    `description` is a network description in YAML, whose `quantization` gives each layer's bits.
    Raises `Rejected` (unusable) when a file cannot be read or the parameters not be quantised.
    """
    content = read_checkpoint(path)
    state = _state(content, path.name)
    state, folded = fold_batch_norms(state, eps=DEFAULT_EPS)
    warnings = [
        qat_rules.BATCH_NORM_FOLDED.at(Loc(path.name), name=name, eps=DEFAULT_EPS)
        for name in folded
    ]
    if description is not None:
        options = replace(options, layer_bits=_described_bits(description, state, options))
    quantized = quantize_state(state, options, path.name)
    rest = _plain(content) if "state_dict" in content else {}
    whole = {k: v for k, v in rest.items() if k not in _DROPPED}
    whole["state_dict"] = quantized.entries
    extras = whole.get("extras")
    whole["extras"] = {**(extras if isinstance(extras, dict) else {}), **_extras(options)}
    return Quantized(checkpoint_bytes(whole), quantized, tuple(warnings))


def _state(content: Mapping[str, object], source: str) -> dict[str, Array]:
    """Return the entries by today's names; raises `Rejected` when there are none."""
    found = content.get("state_dict", content)
    arrays = {
        name: value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(name, str) and isinstance(value, np.ndarray)
    }
    if not arrays:
        why = "it has no `state_dict` with tensors"
        raise Rejected([qat_rules.NO_WEIGHTS.at(Loc(source), why=why)], unusable=True)
    return current_names(network_entries(content, arrays))


def _described_bits(
    path: Path, state: Mapping[str, Array], options: QuantizerOptions
) -> dict[str, int]:
    layers = [layer for layer in read_yaml(path, _Network).layers if layer.has_weights]
    names = layer_names(state)
    if len(layers) != len(names):
        why = f"{len(layers)} layers have weights, but the checkpoint has {len(names)}"
        raise Rejected([qat_rules.FIELD.at(Loc(path.name), field="layers", why=why)], unusable=True)
    pairs = zip(names, layers, strict=True)
    bits = {name: layer.quantization for name, layer in pairs if layer.quantization is not None}
    return {**bits, **options.layer_bits}


def _extras(options: QuantizerOptions) -> dict[str, object]:
    extras: dict[str, object] = {"clipping_method": options.clip_method or "MAX_BIT_SHIFT"}
    if options.clip_method == "STDDEV":
        extras["clipping_nstds"] = options.stddev
    if options.clip_method == "SCALE":
        extras["clipping_scale"] = options.scale
    return extras


def _plain(value: Any) -> Any:
    """Return the plain data in what a checkpoint holds; objects of other kinds are left out."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not _opaque(v)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not _opaque(item)]
    return value


def _opaque(value: object) -> bool:
    return isinstance(value, Opaque) or (isinstance(value, type) and issubclass(value, Opaque))
