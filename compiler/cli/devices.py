"""`ai8xc devices`: the list of chips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ai8xc.cli.common import Report, format_option, load_option, reporting

if TYPE_CHECKING:
    from ai8xc.device import Device


@click.command()
@load_option
@format_option("text", "json")
def command(*, load: tuple[Path, ...], form: Literal["text", "json"]) -> None:
    """List the devices with their memories and layers."""
    from ai8xc.device import device_names, load_device
    from ai8xc.plugins import load_backends

    with reporting(Report("", form)):
        load_backends(load)
    devices = [load_device(name) for name in device_names()]
    if form == "json":
        records = [json.loads(device.model_dump_json()) for device in devices]
        for record in records:  # sets have no order of their own
            record.update({k: sorted(v) for k, v in record.items() if isinstance(v, list)})
        click.echo(json.dumps({"devices": records}))
        return
    for device in devices:
        click.echo(_entry(device))


def _entry(device: Device) -> str:
    return (
        f"{device.name}\n"
        f"    {device.processors} processors, {device.max_layers} layers, "
        f"weights of {', '.join(map(str, sorted(device.weight_bits)))} bits\n"
        f"    {device.kernel_bytes // 1024} KiB weights, {device.data_bytes // 1024} KiB data, "
        f"{device.bias_bytes} biases"
    )
