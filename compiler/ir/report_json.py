"""Diagnostics as machines read them: one JSON document, or SARIF 2.1.0."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Final

from ai8xc.ir.diag import Diagnostic, Rule
from ai8xc.ir.report_model import Survey

_LEVEL: Final = {"error": "error", "warning": "warning", "note": "note"}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"

Json = dict[str, object]


def to_record(diagnostic: Diagnostic) -> Json:
    """Return one finding; `location` names the file and the user's node or line."""
    return {
        "rule": diagnostic.rule.id,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "location": str(diagnostic.loc),
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }


def to_json(diagnostics: Iterable[Diagnostic], device: str | None = None) -> str:
    """Return `{"device": ..., "diagnostics": [...]}` on one line."""
    found = [to_record(diagnostic) for diagnostic in diagnostics]
    return json.dumps({"device": device, "diagnostics": found}, ensure_ascii=False) + "\n"


def survey_to_json(survey: Survey) -> str:
    """Return the verdict on a model on one line: findings as in `to_json`, layers, margins.

    Each of the `cures` says by `diagnostic` which finding it is about.
    """
    cures = [
        {"diagnostic": number, **dataclasses.asdict(cure)}
        for number, diagnostic in enumerate(survey.diagnostics)
        for cure in diagnostic.cures
    ]
    record: Json = {
        "device": survey.device,
        "source": survey.source,
        "fits": survey.fits,
        "complete": survey.complete,
        "cycles": survey.cycles,
        "macs": survey.macs,
        "diagnostics": [to_record(diagnostic) for diagnostic in survey.diagnostics],
        "cures": cures,
        "layers": [dataclasses.asdict(layer) for layer in survey.layers],
        "margins": [
            dataclasses.asdict(margin) | {"free": margin.free, "percent": margin.percent}
            for margin in survey.margins
        ],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def to_sarif(diagnostics: Sequence[Diagnostic], version: str) -> str:
    """Return a SARIF log with one run and the rules that were broken."""
    used = {diagnostic.rule.id: diagnostic.rule for diagnostic in diagnostics}
    order = sorted(used)
    driver: Json = {
        "name": "ai8xc",
        "version": version,
        "rules": [_rule(used[name]) for name in order],
    }
    run: Json = {
        "tool": {"driver": driver},
        "results": [_result(found, order.index(found.rule.id)) for found in diagnostics],
    }
    log: Json = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2) + "\n"


def _rule(rule: Rule) -> Json:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.message},
        "fullDescription": {"text": rule.explanation},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
    }


def _result(found: Diagnostic, index: int) -> Json:
    text = [found.message, *(f"note: {note}" for note in found.notes)]
    if found.help:
        text.append(f"help: {found.help}")
    result: Json = {
        "ruleId": found.rule.id,
        "ruleIndex": index,
        "level": _LEVEL[found.severity],
        "message": {"text": "\n".join(text)},
    }
    location = _location(found)
    return result | ({"locations": [location]} if location else {})


def _location(found: Diagnostic) -> Json:
    location: Json = {}
    if found.loc.source:
        physical: Json = {"artifactLocation": {"uri": _uri(found.loc.source)}}
        if found.loc.line:
            region: Json = {"startLine": found.loc.line}
            if found.loc.column:
                region["startColumn"] = found.loc.column
            physical["region"] = region
        location["physicalLocation"] = physical
    if found.loc.nodes:
        location["logicalLocations"] = [
            {"fullyQualifiedName": node, "kind": "element"} for node in found.loc.nodes
        ]
    return location


def _uri(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
