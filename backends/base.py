"""What a backend is: a device, the passes that reach its level, and a printer of its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeVar

from ai8xc.data_files import add_device
from ai8xc.ir.core import Graph
from ai8xc.ir.passes import PassContext


class Output:
    """Files that a backend emits, by their name in the output folder.

    `facts` are what the backend adds to the manifest: values that JSON can hold.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.facts: dict[str, object] = {}

    def text(self, name: str, content: str) -> None:
        """Add a text file."""
        self.data(name, content.encode())

    def data(self, name: str, content: bytes) -> None:
        """Add a file; it is our mistake to emit one twice."""
        if name in self.files:
            raise ValueError(f"`{name}` is emitted twice")
        self.files[name] = content


class Backend(ABC):
    """A way from the integer level to files.

    `device` names the chip it is for, `data` where its description is; a subclass is made known by
    `register`. `pipeline` is the text of the passes from `q` down, `lowering` of those from a
    placed `ai8x` graph, `replacing` of those that place such a graph anew. They end at `level`, the
    level of the graphs that can be emitted. A backend validates in its passes; emission decides
    nothing and cannot fail.
    """

    device: ClassVar[str]
    data: ClassVar[Path | None] = None
    """The folder of the device's description, for a device that the package does not know."""
    pipeline: ClassVar[str]
    lowering: ClassVar[str] = ""
    replacing: ClassVar[str] = ""
    level: ClassVar[str] = "q"
    emits: ClassVar[frozenset[str]] = frozenset({"c"})
    """What `--emit` may name, besides `ir`."""

    def as_vendor(self, pipeline: str) -> str:
        """Return passes that end as the vendor's tool ends, for `--emit yaml`."""
        return pipeline

    @abstractmethod
    def emit(self, kind: str, graph: Graph, ctx: PassContext, out: Output) -> None:
        """Add the files of one kind in `emits` for the last graph of the pipeline."""


_BACKENDS: dict[str, type[Backend]] = {}
BackendT = TypeVar("BackendT", bound=type[Backend])


def register(cls: BackendT) -> BackendT:
    """Make a backend known by its device; a plug-in's takes the place of ours."""
    if cls.data is not None:
        add_device(cls.data)
    _BACKENDS[cls.device] = cls
    return cls


def backends() -> Mapping[str, type[Backend]]:
    """Return the backends of every module imported so far, by device."""
    return _BACKENDS
