"""What a user asks for that a device has not: rules about options, not about layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ai8xc.device import Device
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import UNKNOWN
from ai8xc.rules import description as rules


def check_requests(network: Mapping[str, object], device: Device) -> Iterator[Diagnostic]:
    """Yield findings about settings of a run that were asked for."""
    if network.get("pipeline") is True and not device.has("pipeline"):
        yield rules.NET_PIPE.at(UNKNOWN, device=device.name)
    if network.get("pll") is True and not device.has("pll"):
        yield rules.NET_PLL.at(UNKNOWN, device=device.name)
    if network.get("max_speed") and (not device.has("pll") or network.get("pll") is False):
        yield rules.NET_MAXSPEED.at(UNKNOWN)
    if network.get("deep_sleep") and not network.get("riscv"):
        yield rules.NET_RISCV.at(UNKNOWN, what="deep sleep")
    fast = str(network.get("input_mode", "")).startswith("fast-fifo")
    if fast and not network.get("riscv"):
        yield rules.FFIFO_RISCV.at(UNKNOWN)
    if network.get("one_shot") and network.get("timer") is not None:
        yield rules.NET_ONESHOT_TIMER.at(UNKNOWN)
