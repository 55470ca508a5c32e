"""The stand-in for the vendor's SDK that projects are compiled against."""

from __future__ import annotations

from importlib import resources


def sdk_files() -> dict[str, bytes]:
    """Return headers, sources and linker script by name."""
    folder = resources.files("ai8xc.runtime_c").joinpath("sdk")
    return {file.name: file.read_bytes() for file in folder.iterdir()}
