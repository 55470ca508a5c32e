"""Exported torch programs (`.pt2`) as plain data, without torch and without running anything.

`torch.export.load` unpickles parts of such a file and evaluates expressions in it, so it must not
see a file from elsewhere. An archive holds one JSON document with the graph and the raw bytes of
each tensor; this reader takes those two and refuses a tensor that is pickled. Sizes are compared
with the file before memory is taken.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ai8xc.frontend.building import MAX_AXES, MAX_VALUES
from ai8xc.frontend.rules import BEYOND_FLOAT, CONSTANT_TYPE, NOT_PT2, PICKLED, UNREADABLE
from ai8xc.ir.diag import Rejected, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array, Element

MAX_BYTES: Final = 2**31 - 1
"""Largest archive member, as for ONNX."""

_MAJOR: Final = 8
"""Version of the schema of the JSON document (`schema_version.major`)."""

_STORED: Final[Mapping[int, tuple[str, Element]]] = {
    1: ("<u1", "u8"),
    2: ("<i1", "i8"),
    3: ("<i2", "i16"),
    4: ("<i4", "i32"),
    5: ("<i8", "i64"),
    6: ("<f2", "f32"),
    7: ("<f4", "f32"),
    8: ("<f8", "f32"),
    12: ("?", "bool"),
    13: ("<u2", "f32"),
}
"""Storage and element type by torch's number (`schema.ScalarType`); 13 is bfloat16."""


@dataclass(frozen=True)
class Ref:
    """A tensor that an argument names."""

    name: str


@dataclass(frozen=True)
class Symbol:
    """An integer that an argument names: a size that the exported program computes."""

    name: str


Argument = object
"""`Ref`, `Symbol`, a number, a string, None, or a tuple of those."""


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module: its path, its class, and a key that tells several calls apart."""

    path: str
    kind: str
    key: str


@dataclass(frozen=True)
class Call:
    """One operation: its overload (`aten.conv2d.default`), arguments by name, names of results.

    `modules` are the modules around it, outermost first. A list of results is flat: operations
    have tensors or one list of tensors as their result.
    """

    op: str
    name: str
    arguments: Mapping[str, Argument]
    results: tuple[str | None, ...]
    modules: tuple[ModuleCall, ...] = ()

    @property
    def module(self) -> str:
        """Path of the innermost module."""
        return self.modules[-1].path if self.modules else ""


@dataclass(frozen=True)
class TensorInfo:
    """A tensor: its sizes, None where one is open, and its element type, None for a foreign one."""

    sizes: tuple[int | None, ...]
    element: Element | None


@dataclass(frozen=True)
class Program:
    """An exported program: what goes in, the operations in order, what comes out.

    `constants` are parameters and buffers by the name that operations read them by; `paths` are
    their names in the model's state.
    """

    source: str
    inputs: tuple[str, ...]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    paths: Mapping[str, str]
    tensors: Mapping[str, TensorInfo]


def read_program(content: bytes | Path, source: str) -> Program:
    """Return the program in an archive; raises `Rejected` where it cannot be used."""
    try:
        data = _content(content) if isinstance(content, Path) else content
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unusable(UNREADABLE, source, str(error).lower()) from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Reader(archive, source).program()
    except zipfile.BadZipFile as error:
        raise _unusable(NOT_PT2, source, "it is no zip archive") from error
    except _BROKEN as error:
        why = "its description of the graph is damaged"
        raise _unusable(NOT_PT2, source, why) from error


_BROKEN: Final = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.LargeZipFile,
)
"""What reading a document raises that is not built as it should be."""


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("it is no regular file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has {path.stat().st_size} bytes")
    return path.read_bytes()


def _unusable(rule: Rule, source: str, why: str) -> Rejected:
    return Rejected([rule.at(Loc(source), file=source, why=why)], unusable=True)


class _Reader:
    """The walk over one archive."""

    def __init__(self, archive: zipfile.ZipFile, source: str) -> None:
        self.archive, self.source = archive, source
        self.names = {name.partition("/")[2]: name for name in archive.namelist()}

    def program(self) -> Program:
        documents = [name for name in self.names if _is_model(name)]
        if len(documents) != 1:
            old = "serialized_exported_program.json" in {*self.names, *self.archive.namelist()}
            why = "it was saved by an old version of torch" if old else "it holds no exported model"
            raise _unusable(NOT_PT2, self.source, why)
        if "byteorder" in self.names and self.member("byteorder") != b"little":
            raise _unusable(NOT_PT2, self.source, "its numbers are big-endian")
        model = json.loads(self.member(documents[0]))
        if model["schema_version"]["major"] != _MAJOR:
            why = f"the version of its format is {model['schema_version']['major']}, not {_MAJOR}"
            raise _unusable(NOT_PT2, self.source, why)
        graph, signature = model["graph_module"]["graph"], model["graph_module"]["signature"]
        stem = documents[0].removeprefix("models/").removesuffix(".json")
        weights, constants = (self.payloads(kind, stem) for kind in ("weights", "constants"))
        inputs: list[str] = []
        held: dict[str, Array] = {}
        paths: dict[str, str] = {}
        for spec in signature["input_specs"]:
            ((kind, found),) = spec.items()
            if kind == "user_input":
                inputs.append(_tensor_name(found["arg"]))
                continue
            name, path = str(found["arg"]["name"]), str(found[f"{kind}_name"])
            table = weights if path in weights else constants
            held[name], paths[name] = self.tensor(path, *table[path]), path
        return Program(
            self.source,
            tuple(inputs),
            tuple(_call(node) for node in graph["nodes"]),
            tuple(_output(spec) for spec in signature["output_specs"]),
            held,
            paths,
            {str(name): _info(meta) for name, meta in graph["tensor_values"].items()},
        )

    def member(self, name: str) -> bytes:
        """Return the content of an archive member, whose size is bounded."""
        info = self.archive.getinfo(self.names[name])
        if info.file_size > MAX_BYTES or info.compress_type != zipfile.ZIP_STORED:
            raise _unusable(NOT_PT2, self.source, f"`{name}` is compressed or too large")
        return self.archive.read(info)

    def payloads(self, kind: str, stem: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Return the member and the description of each tensor of a kind, by path."""
        config = f"data/{kind}/{stem}_{kind}_config.json"
        if config not in self.names:
            return {}
        found = json.loads(self.member(config))["config"]
        return {
            str(path): (f"data/{kind}/{meta['path_name']}", meta) for path, meta in found.items()
        }

    def tensor(self, path: str, name: str, meta: Mapping[str, Any]) -> Array:
        """Return a tensor from its raw bytes."""
        if meta["use_pickle"]:
            raise Rejected([PICKLED.at(Loc(self.source), name=path)], unusable=True)
        layout = meta["tensor_meta"]
        number = int(layout["dtype"])
        if number not in _STORED:
            finding = CONSTANT_TYPE.at(Loc(self.source), name=path, element=f"type {number}")
            raise Rejected([finding])
        kind = np.dtype(_STORED[number][0])
        sizes = [int(size["as_int"]) for size in layout["sizes"]]
        strides = [int(size["as_int"]) for size in layout["strides"]]
        offset = int(layout["storage_offset"]["as_int"])
        data = np.frombuffer(self.member(name), kind)
        reach = offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        empty = 0 in sizes
        large = math.prod(max(n, 1) for n in sizes) > MAX_VALUES or len(sizes) > MAX_AXES
        if large or min((*sizes, *strides, offset), default=0) < 0:
            raise _unusable(NOT_PT2, self.source, f"tensor `{path}` has impossible sizes")
        if not empty and reach >= data.size:
            raise _unusable(NOT_PT2, self.source, f"tensor `{path}` is longer than its data")
        steps = [stride * kind.itemsize for stride in strides]
        view = np.lib.stride_tricks.as_strided(data[0 if empty else offset :], sizes, steps)
        return self.narrowed(path, np.array(view), number)

    def narrowed(self, path: str, array: Array, number: int) -> Array:
        """Return floats of every width as 32 bits."""
        if number == 13:
            return np.asarray((array.astype(np.uint32) << 16).view(np.float32))
        if array.dtype.kind != "f":
            return array
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        if np.isfinite(array).sum() != np.isfinite(narrow).sum():
            raise Rejected([BEYOND_FLOAT.at(Loc(self.source), name=path)])
        return narrow


def _is_model(name: str) -> bool:
    return name.startswith("models/") and name.endswith(".json") and name.count("/") == 1


def _tensor_name(argument: Mapping[str, Any]) -> str:
    return str(argument["as_tensor"]["name"]) if "as_tensor" in argument else ""


def _output(spec: Mapping[str, Any]) -> str:
    """Return the name of an output; empty for one that is no tensor of the user's."""
    return _tensor_name(spec["user_output"]["arg"]) if "user_output" in spec else ""


def _info(meta: Mapping[str, Any]) -> TensorInfo:
    sizes = tuple(int(size["as_int"]) if "as_int" in size else None for size in meta["sizes"])
    kind = _STORED.get(int(meta["dtype"]))
    return TensorInfo(sizes, kind[1] if kind else None)


def _call(node: Mapping[str, Any]) -> Call:
    arguments = {str(given["name"]): _argument(given["arg"]) for given in node["inputs"]}
    results: list[str | None] = []
    for output in node["outputs"]:
        found = _argument(output)
        many = found if isinstance(found, tuple) else (found,)
        results.extend(one.name if isinstance(one, Ref | Symbol) else None for one in many)
    modules = _modules(str(node["metadata"].get("nn_module_stack", "")))
    op = str(node["target"]).removeprefix("torch.ops.")
    first = next((name for name in results if name), op)
    return Call(op, str(node.get("name") or first), arguments, tuple(results), modules)


def _modules(stack: str) -> tuple[ModuleCall, ...]:
    """Return the modules in `key,path,class;key,path,class`, without the model itself."""
    rows = (part.split(",") for part in stack.split(";"))
    found = (ModuleCall(row[1], row[2], row[0]) for row in rows if len(row) == 3)
    return tuple(call for call in found if call.path and not call.path.startswith("_empty"))


def _argument(argument: Mapping[str, Any]) -> Argument:
    ((kind, value),) = argument.items()
    reader = _ARGUMENTS.get(kind)
    return reader(value) if reader else Unreadable(kind)


@dataclass(frozen=True)
class Unreadable:
    """An argument of a kind that no operation takes here."""

    kind: str


def _symbolic(value: Mapping[str, Any]) -> Argument:
    return Symbol(str(value["as_name"])) if "as_name" in value else next(iter(value.values()))


def _optional(value: Mapping[str, Any]) -> Argument:
    return Ref(str(value["as_tensor"]["name"])) if "as_tensor" in value else None


_ARGUMENTS: Final[Mapping[str, Callable[[Any], Argument]]] = {
    "as_none": lambda _: None,
    "as_tensor": lambda value: Ref(str(value["name"])),
    "as_tensors": lambda values: tuple(Ref(str(value["name"])) for value in values),
    "as_optional_tensor": _optional,
    "as_optional_tensors": lambda values: tuple(map(_optional, values)),
    "as_int": int,
    "as_ints": lambda values: tuple(map(int, values)),
    "as_float": float,
    "as_floats": lambda values: tuple(map(float, values)),
    "as_bool": bool,
    "as_bools": lambda values: tuple(map(bool, values)),
    "as_string": str,
    "as_strings": lambda values: tuple(map(str, values)),
    "as_sym_int": _symbolic,
    "as_sym_ints": lambda values: tuple(map(_symbolic, values)),
    "as_sym_float": _symbolic,
    "as_scalar_type": int,
    "as_memory_format": int,
    "as_layout": int,
    "as_device": lambda _: None,
}
