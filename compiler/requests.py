"""What a user asks for that a device has not: rules about options, not about layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ai8xc.device import Device, Feature
from ai8xc.dialects.settings import Settings
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.ir.loc import UNKNOWN
from ai8xc.rules.catalogue import rule_of
from ai8xc.rules.description import of_document, of_samples
from ai8xc.rules.limits import limit_on

FEATURES: Final[tuple[tuple[str, Feature, str], ...]] = (
    ("fifo_go", "fifo-go", "NET-FIFOGO"),
    ("link_layers", "link-layer", "NET-LINK"),
    ("start_layer", "link-layer", "NET-START"),
    ("one_shot", "one-shot", "NET-ONESHOT"),
    ("snoop", "snoop", "NET-SNOOP"),
)
"""Setting, the feature that it needs where it does not have its default, and the rule about it."""

NO_EFFECT = declare(
    "OPT-NOEFFECT",
    "`{option}` has no effect: {why}",
    """The command takes the names of the vendor's options. Some of them change nothing here; the
    manual's table of the vendor's options says what becomes of each.""",
    "warning",
)


def check_requests(network: Mapping[str, object], device: Device) -> Iterator[Diagnostic]:
    """Yield findings about settings of a run that were asked for."""
    yield from _clocks(network, device)
    yield from _cores(network)
    default = Settings()
    for name, feature, rule in FEATURES:
        value = network.get(name, getattr(default, name))
        if value != getattr(default, name) and not device.has(feature):
            count = len(value) if isinstance(value, tuple) else 0
            known = rule_of(rule)
            limit = f"{device.name}: {limit_on(known, device)}"
            yield known.at(
                UNKNOWN, device=device.name, d=device, number=value, count=count, notes=[limit]
            )


def _clocks(network: Mapping[str, object], device: Device) -> Iterator[Diagnostic]:
    """Yield findings about pipeline, PLL and timer."""
    if network.get("pipeline") is True and not device.has("pipeline"):
        yield of_document.NET_PIPE.at(UNKNOWN, device=device.name)
    if network.get("pll") is True and not device.has("pll"):
        yield of_document.NET_PLL.at(UNKNOWN, device=device.name)
    if network.get("max_speed") and (not device.has("pll") or network.get("pll") is False):
        yield of_document.NET_MAXSPEED.at(UNKNOWN)
    if network.get("one_shot") and network.get("timer") is not None:
        yield of_document.NET_ONESHOT_TIMER.at(UNKNOWN)


def _cores(network: Mapping[str, object]) -> Iterator[Diagnostic]:
    """Yield findings about what needs, or cannot be done by, the RISC-V core."""
    riscv = network.get("riscv")
    if network.get("deep_sleep") and not riscv:
        yield of_document.NET_RISCV.at(UNKNOWN, what="deep sleep")
    if network.get("riscv_cache") is False and riscv:
        yield of_document.NET_RISCV.at(UNKNOWN, what="a network that runs there")
    if str(network.get("input_mode", "")).startswith("fast-fifo") and not riscv:
        yield of_samples.FFIFO_RISCV.at(UNKNOWN)
