"""How a project is called: the prefix of its names in C, its files, macros for its compilers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "ai8xc.json"
MAIN: Final = "main.c"
RISCV_MAIN: Final = "main_riscv.c"
"""The main program of the RISC-V core, in projects that run on it; `main.c` only starts it."""


@dataclass(frozen=True)
class Names:
    """What the manifest of a folder says; without one, what its files tell.

    `prefix` begins names in C, nothing where it is `cnn`. `files` are names other than the usual
    ones, `defines` the macros for each core, `riscv` says that the RISC-V core runs the network.
    """

    prefix: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    arm_defines: tuple[str, ...] = ()
    riscv_defines: tuple[str, ...] = ()
    riscv: bool = False

    @classmethod
    def of(cls, folder: Path) -> Names:
        """Return the names of the project in a folder."""
        try:
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
            made = cls._read(manifest)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return cls._found(folder)
        return made

    @classmethod
    def _read(cls, manifest: Mapping[str, Any]) -> Names:
        files, options = dict(manifest.get("files", {})), manifest["options"]
        network, code = options.get("network", {}), options.get("code", {})
        common = tuple(code.get("defines", ()))
        return cls(
            str(network.get("prefix", "")),
            files,
            (*common, *code.get("defines_arm", ())),
            (*common, *code.get("defines_riscv", ())),
            files.get(RISCV_MAIN, RISCV_MAIN) in manifest["outputs"],
        )

    @classmethod
    def _found(cls, folder: Path) -> Names:
        """Return the names of a folder that nobody has described."""
        found = [path.name for path in folder.glob("*_cnn.c")]
        prefix = found[0].removesuffix("_cnn.c") if len(found) == 1 else ""
        return cls(prefix, riscv=(folder / RISCV_MAIN).is_file())

    def file(self, name: str) -> str:
        """Return what a file is called in the project."""
        return self.files.get(name, name)
