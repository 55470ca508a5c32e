"""What a rule allows on a device, as text: from the description of the device, nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ai8xc.device import Device
from ai8xc.ir.diag import Rule


def limit_on(rule: Rule, device: Device) -> str:
    """Return what a rule allows on a device; empty where it has no limit to name."""
    if rule.feature and rule.feature not in device.features:
        return "not allowed"
    if not rule.limit:
        return "allowed" if rule.feature else ""
    text = rule.limit.format(
        d=device,
        kernels=sizes(device.kernel_sizes_2d),
        transposed=sizes(device.kernel_sizes_transposed),
        bits=", ".join(map(str, sorted(device.weight_bits))),
        widths=" or ".join(map(str, sorted(device.output_widths))),
    )
    return "no limit of its own" if "None" in text else text


def sizes(pairs: Iterable[tuple[int, int]]) -> str:
    """Return sizes of windows as text: `1x1 or 3x3`."""
    return " or ".join(f"{rows}x{columns}" for rows, columns in sorted(pairs))


def general(message: str) -> str:
    """Return a message with its device fields as words: no device is meant in the manual."""
    return re.sub(r"\{d\.([a-z_.]+)\}", lambda found: f"{{{found[1].split('.')[-1]}}}", message)
