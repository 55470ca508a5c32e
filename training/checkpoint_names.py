"""Names in checkpoints of all ages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_PARALLEL = "module."
_LEARNER = "net."
_OF_LEARNER = "pytorch-lightning_version"


def current_names(state: Mapping[str, T]) -> dict[str, T]:
    """Return the entries of a state dict by the names they have today.

    Data-parallel training put `module.` before all of them; operators were called `conv2d`.
    """
    parallel = all(name.startswith(_PARALLEL) for name in state)
    start = _PARALLEL if parallel else ""
    return {_operator(name.removeprefix(start)): value for name, value in state.items()}


def _operator(name: str) -> str:
    layer, dot, rest = name.rpartition("conv2d.")
    is_operator = rest in ("weight", "bias") and (not layer or layer.endswith("."))
    return f"{layer}op.{rest}" if dot and is_operator else name


def network_entries(content: Mapping[str, object], state: Mapping[str, T]) -> dict[str, T]:
    """Return the entries of the network alone; checkpoints of a run hold those of the trainer too.

    `content` is the whole file, `state` its state dict.
    """
    if _OF_LEARNER not in content:
        return dict(state)
    return {
        name.removeprefix(_LEARNER): value
        for name, value in state.items()
        if name.startswith(_LEARNER)
    }
