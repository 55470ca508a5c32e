"""How findings are shown: text as the style guide draws it, JSON, SARIF."""

import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from ai8xc.dialects import q
from ai8xc.ir.core import Data, Input
from ai8xc.ir.diag import Diagnostic, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.report import Paint, render, render_all
from ai8xc.ir.report_json import to_json, to_sarif
from ai8xc.ir.types import TensorType

KERNEL = Rule("AX104", "kernel {kernel} is not supported on {device}", "Why and what to do.")
HINT = Rule("AX900", "slow", "It could be faster.", "warning")
WEIGHT = q.Constant(Data(np.ones((32, 4, 5, 5), np.int8)), name="w3")
CONV = q.Conv(
    Input(TensorType((1, 4, 16, 16), "i8"), name="relu2"),
    WEIGHT,
    pads=(2, 2, 2, 2),
    output_shift=3,
    name="conv3",
    loc=Loc("kws20.onnx", ("/features/conv3/Conv",)),
)


def finding(attribute: str | None = "pads") -> Diagnostic:
    return KERNEL.at(
        CONV,
        attribute=attribute,
        notes=["max78000 reads 1x1 or 3x3 windows"],
        help="use two 3x3 layers",
        kernel="5x5",
        device="max78000",
    )


TEXT = """\
error[AX104]: kernel 5x5 is not supported on max78000
  --> kws20.onnx: node `/features/conv3/Conv`
   |
   |  %conv3 = q.conv(%relu2, %w3) {pads = (2, 2, 2, 2), output_shift = 3} : tensor<1x32x16x16xi8>
   |                                ^^^^^^^^^^^^^^^^^^^
   = note: max78000 reads 1x1 or 3x3 windows
   = help: use two 3x3 layers
"""


def test_text() -> None:
    assert render(finding(), Paint()) == TEXT


def test_marks_below_an_operand_and_none() -> None:
    lines = render(finding("weight"), Paint()).splitlines()
    assert lines[4].index("^") == lines[3].index("%w3")
    assert lines[4].count("^") == 3
    assert "^" not in render(finding(None), Paint())


def test_summary_counts() -> None:
    both = [finding(), finding(), HINT.at(CONV)]
    text = render_all(both, "kws20.onnx", Paint(), effect="nothing was written")
    last = text.splitlines()[-1]
    assert last == "error: 2 errors and 1 warning in `kws20.onnx`, nothing was written"
    text = render_all([HINT.at(CONV)], "kws20.onnx", Paint(), effect="nothing was written")
    assert text.splitlines()[-1] == "warning: 1 warning in `kws20.onnx`"


def test_line_of_the_text_where_no_op_is_at_fault() -> None:
    found = HINT.at(Loc("a.ir", (), 2, 3))
    lines = render(found, Paint(), "first\n  second\n").splitlines()
    assert lines[1] == "  --> a.ir:2:3"
    assert lines[3:5] == ["   |    second", "   |    ^"]


def test_colour_changes_nothing_but_colour() -> None:
    import re

    coloured = render_all([finding()], "x", Paint(True))
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render_all([finding()], "x", Paint())


def test_json() -> None:
    text = to_json([finding()], "max78000")
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "device": "max78000",
        "diagnostics": [
            {
                "rule": "AX104",
                "severity": "error",
                "message": "kernel 5x5 is not supported on max78000",
                "location": "kws20.onnx: node `/features/conv3/Conv`",
                "notes": ["max78000 reads 1x1 or 3x3 windows"],
                "help": "use two 3x3 layers",
            }
        ],
    }


MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
SARIF_SUBSET = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {
                                                "shortDescription": MESSAGE,
                                                "fullDescription": MESSAGE,
                                                "defaultConfiguration": {"type": "object"},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "properties": {
                                "message": MESSAGE,
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "properties": {
                                                    "artifactLocation": {"type": "object"},
                                                    "region": {
                                                        "type": "object",
                                                        "properties": {
                                                            "startLine": {"minimum": 1},
                                                            "startColumn": {"minimum": 1},
                                                        },
                                                    },
                                                },
                                            },
                                            "logicalLocations": {"type": "array"},
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""The part of the SARIF 2.1.0 schema (OASIS) that our logs use.

No package on PyPI ships the official schema (sarif-om and sarif-pydantic have classes that take
unknown keys, sarif-tools reads without one). Where AI8XC_SARIF_SCHEMA names a copy of
`sarif-schema-2.1.0.json`, logs are validated against all of it.
"""


def test_sarif() -> None:
    found = [HINT.at(CONV), finding(), finding(), HINT.at(Loc("my net.ir", (), 3))]
    log = json.loads(to_sarif(found, "0.1.0"))
    jsonschema.validate(log, SARIF_SUBSET)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["AX104", "AX900"]
    for result, diagnostic in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == diagnostic.rule.id
        assert result["level"] == diagnostic.severity
        assert result["message"]["text"].startswith(diagnostic.message)
    place = run["results"][1]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "kws20.onnx"
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "/features/conv3/Conv"
    last = run["results"][3]["locations"][0]["physicalLocation"]
    assert last == {"artifactLocation": {"uri": "my%20net.ir"}, "region": {"startLine": 3}}


def test_sarif_without_findings_is_valid() -> None:
    jsonschema.validate(json.loads(to_sarif([], "0.1.0")), SARIF_SUBSET)


OFFICIAL = os.environ.get("AI8XC_SARIF_SCHEMA", "")


@pytest.mark.skipif(not OFFICIAL, reason="AI8XC_SARIF_SCHEMA names no copy of the schema")
@pytest.mark.parametrize("found", [[], [HINT.at(CONV), HINT.at(Loc("my net.ir", (), 3, 7))]])
def test_sarif_by_the_official_schema(found: list[Diagnostic]) -> None:
    schema = json.loads(Path(OFFICIAL).read_text())
    formats = jsonschema.FormatChecker()
    checker = jsonschema.Draft7Validator(schema, format_checker=formats)
    checker.validate(json.loads(to_sarif([*found, *([finding()] if found else [])], "0.1.0")))
