"""The vendor's verdicts on networks, for the tests of the rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import golden_corpus
from golden_network import case_device, case_graph

from ai8xc.device import Device
from ai8xc.ir.core import Graph

NOT_REPRODUCED: Final = [
    (
        r"test-widein-maxproc4(-q4)?__max-proc_4",
        {"PROC-COUNT", "AX130"},
        "needs the debugging option that limits the processors of a pass, which is not offered",
    ),
    (
        r"test-cifar10-chw\+bias|test-fifostream-cifar-hwc\+bias__fifo",
        {"BIAS-HOLES"},
        "a defect: kernels are stored with the gaps of the output map, biases without",
    ),
    (
        r"test-fifostream-group-notvga64x48-hwc__(fifo|ffifo-rv|ffquad-rv)",
        {"FIFO-LANES"},
        "a defect: two of the three channels are never pushed",
    ),
    (
        r"test-multilayer-eltwise",
        {"MEM-OVER-IN"},
        "the registers interleave the pixels of what the known answer splits by channels",
    ),
]
"""Accepted networks that are refused here: their names, the rules, and why."""


def accepted(entry: golden_corpus.Entry) -> tuple[Graph, Device]:
    """Return the network of an accepted vector, with its device."""
    meta = json.loads((entry.path / "case.json").read_text())
    arrays = golden_corpus._arrays(entry.path, meta)
    return case_graph(meta, arrays, _description(entry.path, meta)), case_device(meta)


def _description(path: Path, meta: dict[str, Any]) -> str:
    if (path / "net.yaml").is_file():
        return (path / "net.yaml").read_text()
    root, inputs = golden_corpus.golden_folder(), meta.get("inputs", {})
    return (root / inputs["yaml"]).read_text() if root and "yaml" in inputs else ""


def refused() -> Iterator[tuple[str, dict[str, Any], Path]]:
    """Yield the cause, the facts and the folder of every network that the vendor's tool refuses."""
    root = golden_corpus.golden_folder()
    if root is None:
        return
    for path in sorted([*root.glob("cases/*/*/case.json"), *root.glob("own/cases/*/*/case.json")]):
        meta = json.loads(path.read_text())
        if meta["status"] != "ok":
            found = meta.get("reject") or meta["crash"]
            yield found["code"], meta, path.parent
