"""A compiled project as numbers: its manifest, and the tables in its C headers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from ai8xc.backends.ai8x.c_tables import output_tables, sample_tables, weight_tables
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.ai8x.emit_facts import facts
from ai8xc.dialects.reg import Program
from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

MANIFEST: Final = "ai8xc.json"
HEADERS: Final = ("weights.h", "sampledata.h", "sampleoutput.h")
MAX_BYTES: Final = 64 << 20

NO_PROJECT = declare(
    "FW003",
    "`{name}` is not a compiled project: {why}",
    """A project is a folder that `ai8xc compile` has written with `--emit c`: the C files and the
    manifest `ai8xc.json`.""",
)

_TABLE: Final = re.compile(r"#define (\w+) \{([^}]*)\}")
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]+")


@dataclass(frozen=True, eq=False)
class Project:
    """The facts of the manifest, and the tables by the names of their macros."""

    facts: Mapping[str, Any]
    tables: Mapping[str, Array]

    @classmethod
    def read(cls, folder: Path) -> Project:
        """Return the project in a folder; raises `Rejected` where there is none."""
        try:
            manifest = json.loads(_text(folder / MANIFEST))
            missing = {"device", "network", "program"} - set(manifest)
        except (OSError, ValueError, TypeError) as error:
            raise unusable_project(folder, str(error)) from None
        if missing:
            raise unusable_project(folder, f"`{MANIFEST}` has no `{min(missing)}`")
        tables: dict[str, Array] = {}
        for name in HEADERS:
            try:
                found = _TABLE.findall(_text(folder / name))
                tables |= {key: _numbers(body) for key, body in found}
            except (OSError, ValueError, OverflowError) as error:
                raise unusable_project(folder, str(error)) from None
        if "KERNELS" not in tables or "SAMPLE_OUTPUT" not in tables:
            raise unusable_project(folder, "its headers hold no tables")
        return cls(manifest, tables)

    @classmethod
    def of(cls, program: Program) -> Project:
        """Return a register program in the same form."""
        project = CProject(program)
        tables = weight_tables(program, project.express)
        tables |= sample_tables(program) | output_tables(program)
        return cls(json.loads(json.dumps(facts(project, None))), tables)

    @property
    def device(self) -> str:
        """Name of the device."""
        return str(self.facts["device"])

    @property
    def express(self) -> bool:
        """Kernels are loaded packed."""
        return bool(self.facts["program"]["express"])

    @cached_property
    def functions(self) -> dict[str, list[Any]]:
        """Accesses of each function: `[address, value]` or an object."""
        return {f["name"]: f["writes"] for f in self.facts["program"]["functions"]}

    @property
    def biases(self) -> dict[int, Array]:
        """The bias bytes of each group."""
        return {int(k[5:]): v for k, v in self.tables.items() if k.startswith("BIAS_")}

    @property
    def sample(self) -> dict[int, Array]:
        """The words of the input by the number of their table."""
        prefix = "SAMPLE_INPUT_"
        found = {k: v for k, v in self.tables.items() if k.startswith(prefix)}
        return {int(k.removeprefix(prefix)): v for k, v in found.items()}

    def expected(self) -> list[tuple[int, int, Array]]:
        """Return address, mask and words of each run of the known answer."""
        words, at, runs = self.tables["SAMPLE_OUTPUT"], 0, []
        while at + 3 <= len(words) and words[at]:
            count = int(words[at + 2])
            runs.append((int(words[at]), int(words[at + 1]), words[at + 3 : at + 3 + count]))
            at += 3 + count
        return runs

    def with_sample(self, sample: Mapping[int, Array]) -> Project:
        """Return the project with other input words."""
        named = {f"SAMPLE_INPUT_{number}": words for number, words in sample.items()}
        return replace(self, tables={**self.tables, **named})


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"`{path.name}` is larger than {MAX_BYTES} bytes")
    return path.read_text("utf-8")


def _numbers(body: str) -> Array:
    """Return the numbers of an initializer; two digits make a byte."""
    found = _NUMBER.findall(body)
    kind = np.uint8 if found and all(len(number) == 4 for number in found) else np.uint32
    return np.array([int(number, 16) for number in found], kind)


def unusable_project(folder: Path, why: str) -> Rejected:
    """Return the rejection of a folder."""
    name = folder.name or str(folder)
    return Rejected([NO_PROJECT.at(Loc(name), name=name, why=why)], unusable=True)
