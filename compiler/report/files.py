"""The files of a report, and the run of the compiler that a report alone needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ai8xc.device import load_device
from ai8xc.driver import Options, compile_graph
from ai8xc.files import read_bytes, unusable, write_files
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.prove import random_samples, real_sample
from ai8xc.ir.report_model import Survey
from ai8xc.ir.types import Array
from ai8xc.report.collect import SCHEMA, Json, report
from ai8xc.report.page import as_json, page
from ai8xc.report.record import Recording, Run

MAX_BYTES: Final = 2**26


def report_files(run: Run) -> dict[str, bytes]:
    """Return `report.json` and `report.html`."""
    found = report(run)
    return {"report.json": as_json(found).encode(), "report.html": page(found).encode()}


def examine(graph: Graph, name: str, options: Options) -> Json:
    """Return the report on a model, compiled as far as it goes.

    Without a sample, the noise is that of random inputs.
    """
    recording = Recording(graph)
    watched = replace(options, hooks=(*options.hooks, recording))
    try:
        found = compile_graph(graph, watched).diagnostics
    except Rejected as rejected:
        if rejected.unusable:
            raise
        found = rejected.diagnostics
    device = load_device(options.device or "max78000")
    return report(Run(name, device, recording, found, _samples(graph, options.sample)))


def examine_survey(found: Survey, recording: Recording, sample: Array | None) -> Json:
    """Return the report on a model that has been checked, with the hook that watched it.

    Layers that come from the model's outline are shown where the compiler did not reach them.
    """
    if recording.layers is None and found.graph is not None:
        recording.last = found.graph
    samples = _samples(recording.given, sample)
    device = load_device(found.device)
    return report(Run(found.source, device, recording, found.diagnostics, samples))


def _samples(graph: Graph, sample: Array | None) -> Sequence[Array]:
    return random_samples(graph) if sample is None else [real_sample(sample)[None]]


def report_of(folder: Path) -> Json:
    """Return the report that `compile --emit report` left in a folder; raises `Rejected`."""
    path = folder / "report.json"
    if not path.is_file():
        raise unusable(folder.name, "it holds no `report.json`: compile with `--emit c,report`")
    try:
        found = json.loads(read_bytes(path, MAX_BYTES))
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            raise unusable(path.name, "it is of another version")
        page(found)
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise unusable(path.name, "it is damaged") from error
    return found


def write_page(found: Json, path: Path) -> None:
    """Write the page of a report; raises `Rejected` where that cannot be done."""
    write_files(path.parent, {path.name: page(found).encode()})
