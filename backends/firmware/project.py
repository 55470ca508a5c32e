"""A compiled project as numbers: its manifest, and the tables in its C headers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from ai8xc import __version__
from ai8xc.backends.ai8x.c_tables import output_tables, sample_tables, weight_tables
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.backends.ai8x.emit_facts import facts
from ai8xc.backends.firmware.names import MANIFEST, Names
from ai8xc.device import device_names
from ai8xc.dialects.reg import Program
from ai8xc.ir.diag import Diagnostic, Rejected, declare
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array

HEADERS: Final = ("weights.h", "sampledata.h", "sampleoutput.h")
MAX_BYTES: Final = 64 << 20

NO_PROJECT = declare(
    "FW003",
    "`{name}` is not a compiled project: {why}",
    """A project is a folder that `ai8xc compile` has written with `--emit c`: the C files and the
    manifest `ai8xc.json`.""",
)

OTHER_VERSION = declare(
    "FW005",
    "`{name}` was compiled by ai8xc {theirs}, this is {ours}",
    """The manifest of a project can mean other things to another version. Compile the model again;
    the result is the same files where nothing has changed.""",
)
EDITED = declare(
    "FW006",
    "`{file}` is not what was compiled",
    """The manifest holds the SHA-256 of every file. A project may be edited, and is then run as it
    is; but the manifest does not describe it, and its known answer may be another network's.""",
    "warning",
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
        manifest = read_manifest(folder)
        tables: dict[str, Array] = {}
        names = Names.of(folder)
        for name in map(names.file, HEADERS):
            try:
                found = _TABLE.findall(_text(folder / name))
                tables |= {key: _numbers(body) for key, body in found}
            except OSError as error:
                raise unusable_project(folder, f"`{name}`: {_why(error)}") from None
            except (ValueError, OverflowError) as error:
                raise unusable_project(folder, f"`{name}`: {error}") from None
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

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """The outputs of the network: name, shape, and where they lie."""
        found: list[dict[str, Any]] = self.facts["network"]["outputs"]
        return found

    @property
    def unloads(self) -> list[dict[str, Any]]:
        """What `cnn_unload` copies: the outputs, or what the user has listed in their place."""
        found: list[dict[str, Any]] = self.facts["network"].get("unload", self.outputs)
        return found

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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a project; raises `Rejected` where it cannot be used."""
    try:
        manifest = json.loads(_text(folder / MANIFEST))
        missing = {"tool", "device", "network", "program", "outputs"} - set(manifest)
        if missing:
            raise unusable_project(folder, f"`{MANIFEST}` has no `{min(missing)}`")
        theirs = str(manifest["tool"]["version"])
        whole = manifest["device"] in device_names() and _has_parts(manifest)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unusable_project(folder, _why(error)) from None
    if not whole:
        raise unusable_project(folder, f"`{MANIFEST}` is damaged")
    if theirs != __version__:
        name = folder.name or str(folder)
        finding = OTHER_VERSION.at(
            Loc(name), name=name, theirs=theirs, ours=__version__, help="compile the model again"
        )
        raise Rejected([finding], unusable=True)
    return dict(manifest)


def _has_parts(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest has what the engines read; may raise what wrong types lead to."""
    network, program = manifest["network"], manifest["program"]
    inputs = {"shape", "scale", "fold", "format", "processors", "parts", "fifos", "blocks"}
    outputs = {"name", "shape", "bits", "processors", "offset", "gap"}
    return (
        inputs <= set(network["input"])
        and all(
            outputs <= set(output) for output in (*network["outputs"], *network.get("unload", []))
        )
        and all({"name", "writes"} <= set(function) for function in program["functions"])
        and isinstance(program["express"], bool)
        and all(isinstance(name, str) for name in manifest["outputs"].values())
    )


def edited_files(folder: Path, manifest: Mapping[str, Any]) -> list[Diagnostic]:
    """Return a warning for each file of a project that was changed, an error for those missing."""
    found = []
    for name, wanted in manifest["outputs"].items():
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise unusable_project(folder, f"`{name}`: {_why(error)}") from None
        if hashlib.sha256(content).hexdigest() != wanted:
            found.append(EDITED.at(Loc(name), file=name, help="compile the model again"))
    return found


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or "unknown error").lower()
    return f"`{MANIFEST}` is damaged ({error or type(error).__name__})"


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
