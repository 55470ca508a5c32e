"""Where the data of a device lie: `backends/<device>/` in the package, or a folder of a plug-in.

Reading them imports no backend.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

DESCRIPTION: Final = "device.toml"
REGISTERS: Final = "registers.toml"

_BROUGHT: Final[dict[str, Path]] = {}


def add_device(folder: Path) -> None:
    """Make the device in a folder known by the folder's name.

    The folder holds a `device.toml`, and a `registers.toml` unless the device is like another.
    Raises FileNotFoundError where there is no description.
    """
    if not (folder / DESCRIPTION).is_file():
        raise FileNotFoundError(f"no {DESCRIPTION} in `{folder}`")
    _BROUGHT[folder.name] = folder


def device_folders() -> Mapping[str, Traversable]:
    """The folders of all known devices, by name; those of plug-ins win."""
    package = resources.files("ai8xc").joinpath("backends").iterdir()
    found = {f.name: f for f in package if f.joinpath(DESCRIPTION).is_file()}
    return dict(sorted({**found, **_BROUGHT}.items()))


def read_table(device: str, name: str) -> dict[str, object]:
    """The content of a data file; FileNotFoundError when the device or the file does not exist."""
    folder = _BROUGHT.get(device) or resources.files("ai8xc").joinpath("backends", device)
    return tomllib.loads(folder.joinpath(name).read_text(encoding="utf-8"))


def read_description(device: str) -> dict[str, object]:
    """The description of a device; what it leaves out is that of the device it is `like`."""
    table = read_table(device, DESCRIPTION)
    like = table.pop("like", None)
    if like is None:
        return table
    return _over(read_description(str(like)) | {"aliases": []}, table)


def read_registers(device: str) -> dict[str, object]:
    """The register map of a device, or of the one it is `like`."""
    try:
        return read_table(device, REGISTERS)
    except FileNotFoundError:
        like = read_table(device, DESCRIPTION).get("like")
        if like is None:
            raise
        return read_registers(str(like)) | {"device": device}


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """The tables merged, tables in them too; `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _over(old, value) if both else value  # type: ignore[arg-type] # narrowed
    return merged
