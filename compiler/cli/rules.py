"""`ai8xc rules`: the list of everything that can be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import click

from ai8xc.cli.common import DeviceName, Report, format_option, reporting

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.ir.diag import Rule

LEVELS = ("tool", "file", "nn", "q", "ai8x", "network", "reg")


@click.command()
@click.option("--device", type=DeviceName(), help="Show the limits of one chip only.")
@click.option("--level", type=click.Choice(LEVELS), help="Show the rules of one level only.")
@format_option("text", "json")
def command(*, device: Device | None, level: str | None, form: Literal["text", "json"]) -> None:
    """List the rules: id, level, severity, what each allows.

    A level says where a rule is checked: on files, on float (nn) and integer (q) operators, on
    hardware layers (ai8x), on the whole network, on registers (reg), or by the tool itself.
    """
    with reporting(Report("")):
        from ai8xc.device import device_names, load_device
        from ai8xc.ir.diag import rules
        from ai8xc.plugins import load_rules

        load_rules()
        devices = [device] if device else [load_device(name) for name in device_names()]
        known = [rule for _, rule in sorted(rules().items()) if level in (None, rule.level)]
        if form == "json":
            records = [record(rule, devices) for rule in known]
            click.echo(json.dumps({"rules": records}, ensure_ascii=False))
            return
        width = max((len(rule.id) for rule in known), default=0)
        for rule in known:
            limits = shown_limits(rule, devices)
            ending = f"  [{limits}]" if limits else ""
            head = f"{rule.id:<{width}}  {rule.level:<7}  {rule.severity:<7}"
            click.echo(f"{head}  {rule.title or rule.message}{ending}")


def record(rule: Rule, devices: list[Device]) -> dict[str, object]:
    """Return a rule as machines read it."""
    from ai8xc.rules.limits import limit_on

    return {
        "id": rule.id,
        "title": rule.title,
        "level": rule.level,
        "severity": rule.severity,
        "message": rule.message,
        "explanation": rule.explanation,
        "source": rule.source,
        "limits": {device.name: limit_on(rule, device) for device in devices},
        "cure": rule.cure,
    }


def shown_limits(rule: Rule, devices: list[Device]) -> str:
    """Return what a rule allows, once where all devices allow the same."""
    from ai8xc.rules.limits import limit_on

    limits = {device.name: limit_on(rule, device) for device in devices}
    if len(set(limits.values())) == 1:
        return next(iter(limits.values()))
    return " | ".join(f"{name}: {limit}" for name, limit in limits.items())
