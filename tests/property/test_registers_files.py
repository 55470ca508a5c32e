"""Random networks: what `--emit registers` writes is all that an outsider needs to run them.

Nothing of ours is used to read the files: their format is that of the manual.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ai8xc.backends.emulator import Emulator
from ai8xc.driver import Options, Result, compile_graph
from ai8xc.ir import interp
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.printer import print_graph

sys.path.insert(0, str(Path(__file__).parent))

from q_graphs import q_graphs
from test_placement import FULL

INEXACT = "AX118"
"""The note on a mean that is taken in steps: its result may be another one."""
NAMES = [
    *(f"{what}_{part}" for what in ("weights", "bias", "input") for part in ("address", "value")),
    *(f"expected_{part}" for part in ("address", "mask", "value")),
    "unload",
]


def compiled(graph: Graph, device: str, sample: np.ndarray) -> Result | None:
    """The files of a graph; None where the device is too small for it."""
    options = Options(device, sample=sample, emit=frozenset({"registers"}))
    try:
        return compile_graph(graph, options)
    except Rejected as rejected:
        if {finding.rule.id for finding in rejected.diagnostics} <= FULL:
            return None
        raise


def execute(emulator: Emulator, function: dict) -> None:
    """The accesses of a function of `registers.json`."""
    for access in function["writes"]:
        if isinstance(access, list):
            emulator.write(*access)
            continue
        word = emulator.read(access["address"])
        match access["op"]:
            case "modify":
                emulator.write(access["address"], word & ~access["mask"] | access["value"])
            case "poll" | "check":
                assert word & access["mask"] == access["value"]


def write_all(emulator: Emulator, arrays: dict, name: str) -> None:
    """The words of a memory, neighbours as one block; pushes into a FIFO stay single."""
    addresses, values = arrays[f"{name}_address"], arrays[f"{name}_value"]
    ends = np.flatnonzero(np.diff(addresses.astype(np.int64)) != 4) + 1
    for run_addresses, run in zip(np.split(addresses, ends), np.split(values, ends), strict=True):
        if len(run):
            emulator.write_block(int(run_addresses[0]), run)


def run(files: dict[str, bytes], memory_first: bool) -> Emulator:
    """Load and run; the memories may be loaded before everything else, or before the start."""
    program = json.loads(files["registers.json"])
    arrays = np.load(io.BytesIO(files["memory.npz"]))
    emulator = Emulator(program["device"])
    first = "cnn_init" if memory_first else "cnn_start"
    for function in program["functions"]:
        if function["name"] == first:
            for name in ("weights", "bias", "input"):
                write_all(emulator, arrays, name)
        execute(emulator, function)
    return emulator


@pytest.mark.parametrize("device", ["max78000", "max78002"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(q_graphs(), st.integers(0, 2**16), st.booleans())
def test_files_are_a_program(device: str, graph: Graph, seed: int, memory_first: bool) -> None:
    prove(device, graph, seed, memory_first)


def prove(device: str, graph: Graph, seed: int, memory_first: bool) -> None:
    """The files run, give the known answer, and that is what the graph means."""
    note(print_graph(graph))
    rng = np.random.default_rng(seed)
    sample = rng.integers(-128, 128, graph.inputs[0].type.shape[1:]).astype(np.int8)
    result = compiled(graph, device, sample)
    if result is None:
        return
    emulator = run(result.files, memory_first)
    assert emulator.idle
    assert emulator.findings == []
    arrays = np.load(io.BytesIO(result.files["memory.npz"]))
    parts = (arrays[f"expected_{k}"].tolist() for k in ("address", "mask", "value"))
    known = zip(*parts, strict=True)
    assert all(emulator.read(address) & mask == value for address, mask, value in known)
    expected = interp.run(graph, {graph.inputs[0].name: sample[None]})
    found = outputs(arrays, len(expected))
    bits = [np.int32 if value.dtype == np.int32 else np.int8 for value in expected]
    whole = b"".join(v.astype(kind).tobytes() for v, kind in zip(found, bits, strict=True))
    assert arrays["unload"].tobytes() == whole + bytes(-len(whole) % 4)
    if any(finding.rule.id == INEXACT for finding in result.diagnostics):
        return
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value.reshape(wanted.shape), wanted)


def outputs(arrays: np.lib.npyio.NpzFile, count: int) -> list[np.ndarray]:
    """The outputs, after a check of names, types and shapes of all arrays."""
    names = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    assert set(arrays.files) == {*NAMES, *names}
    assert all(arrays[name].dtype == np.uint32 and arrays[name].ndim == 1 for name in NAMES)
    assert all(arrays[name].dtype == np.int32 and arrays[name].ndim == 3 for name in names)
    return [arrays[name] for name in names]
