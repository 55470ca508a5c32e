"""Write the reference pages from the code: `python docs/generate.py` (a test compares them)."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from pathlib import Path

from ai8xc.device import device_names, load_device
from ai8xc.ir.core import FieldSpec, op_classes
from ai8xc.ir.diag import rules
from ai8xc.ir.passes import passes
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.rules.examples import EXAMPLES
from ai8xc.rules.limits import general, limit_on

LEVELS = {"nn": "Float", "q": "Integer", "ai8x": "Hardware layers", "reg": "Registers"}


def import_everything() -> None:
    """Import the modules that register ops, passes and rules."""
    import ai8xc

    for module in pkgutil.walk_packages(ai8xc.__path__, "ai8xc."):
        needs_torch = module.name.startswith("ai8xc.training.")
        if module.name == "ai8xc.training.rules" or not (
            needs_torch or module.name.endswith("__main__")
        ):
            importlib.import_module(module.name)


def cell(text: str) -> str:
    """Return text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def first_line(documented: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def operators() -> str:
    """Return the page of operators."""
    lines = ["# Operators", "", "Generated from the op classes. Operands stand in this order.", ""]
    for level, title in LEVELS.items():
        lines += [f"## {title}: `{level}`", "", "| op | meaning | operands | attributes |"]
        lines += ["|---|---|---|---|"]
        for opcode, cls in sorted(op_classes().items()):
            if opcode.startswith(f"{level}."):
                given = [spec for spec in cls.fields() if spec.kind != "attribute"]
                rest = [spec.name for spec in cls.fields() if spec.kind == "attribute"]
                row = (
                    f"`{opcode}`",
                    cell(first_line(cls)),
                    _codes(map(_operand, given)),
                    _codes(rest),
                )
                lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


def _operand(spec: FieldSpec) -> str:
    return {"optional": f"{spec.name}?", "variadic": f"[{spec.name}]"}.get(spec.kind, spec.name)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def pass_page() -> str:
    """Return the page of passes and pipelines."""
    lines = ["# Passes", "", "Generated from the pass classes; `ai8xc passes` prints the same.", ""]
    lines += ["| pass | does | needs | gives | options |", "|---|---|---|---|---|"]
    for name, cls in sorted(passes().items()):
        options = (
            f"{f.name.replace('_', '-')}={f.default}"
            for f in dataclasses.fields(cls)  # type: ignore[arg-type] # passes are dataclasses
        )
        row = (
            f"`{name}`",
            cell(first_line(cls)),
            _codes(sorted(cls.needs)),
            _codes(sorted(cls.gives)),
            _codes(options),
        )
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "## Pipelines", ""]
    lines += [f"* `{name}`: `{text}`" for name, text in PIPELINES.items()]
    return "\n".join([*lines, ""])


def rule_page() -> str:
    """Return the page of rules: tables of limits by section, then each rule."""
    devices = [load_device(name) for name in device_names()]
    head = " | ".join(device.name for device in devices)
    lines = ["# Rules", "", "Generated from the catalogue; `ai8xc explain ID` shows one.", ""]
    lines += ["## Limits", "", f"| rule | about | {head} |", f"|---|---|{'---|' * len(devices)}"]
    known = sorted(rules().items())
    for id_, rule in known:
        limits = [limit_on(rule, device) for device in devices]
        if any(limits):
            row = (f"[{id_}](#{id_.lower()})", cell(rule.title), *map(cell, limits))
            lines.append(f"| {' | '.join(row)} |")
    for id_, rule in known:
        lines += ["", f"## {id_}", "", f"{rule.severity}, level {rule.level}: "]
        lines[-1] += general(rule.message)
        lines += ["", rule.explanation]
        if id_ in EXAMPLES:
            lines += ["", "*Breaks it*: {}. *Legal*: {}.".format(*EXAMPLES[id_])]
        lines += [""] if rule.cure or rule.source else []
        lines += [f"*Cure*: {rule.cure}. "] if rule.cure else []
        lines += [f"*Source*: {rule.source}."] if rule.source else []
    return "\n".join([*lines, ""])


def pages() -> dict[str, str]:
    """Return every reference page by its path under `docs/`."""
    import_everything()
    return {
        "reference/operators.md": operators(),
        "reference/passes.md": pass_page(),
        "reference/rules.md": rule_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        Path(__file__).with_name("reference").mkdir(exist_ok=True)
        (Path(__file__).parent / path).write_text(text, "utf-8")
