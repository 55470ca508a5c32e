"""The device and the mode that layers are built for: a value of the context, never of the process.

`use_device` nests, and each thread and each asynchronous task has its own. A layer remembers the
settings it was built with; later changes go through `set_mode`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ai8xc.training.layers.errors import DeviceNotSetError, LayerError

Mode = Literal["float", "qat", "simulate"]
ShiftRule = Literal["dynamic", "calibrated"]

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
_PARTS: Final = {"85": "max78000", "78000": "max78000", "87": "max78002", "78002": "max78002"}


@dataclass(frozen=True)
class Settings:
    """What a layer needs to know about its surroundings.

    `avg_pool_rounding` rounds averages to the nearest integer instead of towards zero. The shift
    rule `dynamic` derives each output shift from the weights; `calibrated` also from thresholds of
    the activations, and leaves float training unclamped and batch norms undivided.
    """

    device: str
    mode: Mode = "float"
    avg_pool_rounding: bool = False
    shift_rule: ShiftRule = "dynamic"


_CURRENT: ContextVar[Settings | None] = ContextVar("settings", default=None)


def device_name(device: str | int) -> str:
    """Return `max78000` or `max78002` for any of its names, such as `MAX78000`, `AI85` or 85."""
    match = re.fullmatch(r"(?:max|ai)?(\d+)", str(device).strip().lower())
    if match is None or match[1] not in _PARTS:
        raise LayerError("device", f"unknown device {device!r}: use max78000 or max78002")
    return _PARTS[match[1]]


def checked_mode(mode: str) -> Mode:
    """Return the mode, or raise `LayerError`."""
    for known in MODES:
        if mode == known:
            return known
    raise LayerError("mode", f"unknown mode {mode!r}: use {', '.join(MODES)}")


@contextmanager
def use_device(
    device: str | int,
    *,
    mode: Mode = "float",
    avg_pool_rounding: bool = False,
    shift_rule: ShiftRule = "dynamic",
) -> Iterator[Settings]:
    """Build the layers of this block for a device and in a mode.

    Args:
        device: `max78000` or `max78002` (any of their names, see `device_name`).
        mode: `float` for training in real numbers in [-1, 127/128]; `qat` for training with
            quantised weights and activations; `simulate` for the device's integers in [-128, 127].
        avg_pool_rounding: average pools round to the nearest integer, not towards zero.
        shift_rule: `dynamic` or `calibrated`, see `Settings`.

    Raises:
        LayerError: the device, mode or rule is unknown.
    """
    if shift_rule not in get_args(ShiftRule):
        raise LayerError("shift_rule", f"unknown rule {shift_rule!r}: use dynamic or calibrated")
    settings = Settings(device_name(device), checked_mode(mode), avg_pool_rounding, shift_rule)
    token = _CURRENT.set(settings)
    try:
        yield settings
    finally:
        _CURRENT.reset(token)


def settings_for(layer: str) -> Settings:
    """Return the settings of the surrounding `use_device`; raises `DeviceNotSetError`."""
    settings = _CURRENT.get()
    if settings is None:
        raise DeviceNotSetError(layer)
    return settings
