"""Diagnostics as people read them: the op, what is wrong in it, the limit and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ai8xc.ir.core import Op
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.printer import print_call, print_value

_STYLES: Final = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "help": "1;32",
    "bold": "1",
    "frame": "1;34",
}


@dataclass(frozen=True)
class Paint:
    """Terminal colours, or none."""

    enabled: bool = False

    def __call__(self, style: str, text: str) -> str:
        """Return the text in a style of `_STYLES`."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.enabled else text


def render(diagnostic: Diagnostic, paint: Paint, text: str = "") -> str:
    """Return one finding; `text` is the `.ir` text it is about, where it is about one."""
    severity = diagnostic.severity
    head = paint(severity, f"{severity}[{diagnostic.rule.id}]")
    lines = [head + paint("bold", f": {diagnostic.message}")]
    if str(diagnostic.loc):
        lines.append(f"  {paint('frame', '-->')} {diagnostic.loc}")
    excerpt = list(_excerpt(diagnostic, text))
    bar = paint("frame", "|")
    if excerpt:
        shown, mark = excerpt
        lines += [f"   {bar}", f"   {bar}  {shown}"]
        lines.append(f"   {bar}  {paint(severity, mark)}" if mark else f"   {bar}")
    equals = paint("frame", "=")
    lines += [f"   {equals} {paint('note', 'note')}: {note}" for note in diagnostic.notes]
    lines += [f"   {equals} {paint('help', 'help')}: {text}" for text in cures(diagnostic)]
    return "\n".join(lines) + "\n"


def cures(diagnostic: Diagnostic) -> Iterator[str]:
    """Yield what helps: each cure with its cost, or the help."""
    for cure in diagnostic.cures:
        yield f"{cure.text} ({cure.cost})" if cure.cost else cure.text
    if diagnostic.help and not diagnostic.cures:
        yield diagnostic.help


def render_all(
    diagnostics: Iterable[Diagnostic], source: str, paint: Paint, text: str = "", effect: str = ""
) -> str:
    """Return all findings and a closing line; `effect` ends that line where there are errors."""
    found = list(diagnostics)
    parts = [render(diagnostic, paint, text) for diagnostic in found]
    summary = summarize(found, source, effect)
    if summary:
        style = "error" if summary.startswith("error") else "warning"
        head, _, rest = summary.partition(":")
        parts.append(f"{paint(style, head)}{paint('bold', ':' + rest)}\n")
    return "\n".join(parts)


def summarize(diagnostics: Iterable[Diagnostic], source: str, effect: str = "") -> str:
    """Return the closing line, such as "error: 2 errors in `x.onnx`, nothing was written"."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = {kind: severities.count(kind) for kind in ("error", "warning")}
    counted = [_plural(count, kind) for kind, count in counts.items() if count]
    if not counted:
        return ""
    kind = "error" if counts["error"] else "warning"
    place = f" in `{source}`" if source else ""
    effect = f", {effect}" if effect and counts["error"] else ""
    return f"{kind}: {' and '.join(counted)}{place}{effect}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _excerpt(diagnostic: Diagnostic, text: str) -> Iterator[str]:
    """Yield the op in question, or the line of text, and the line of marks below it."""
    lines = text.splitlines()
    line, column = diagnostic.loc.line, diagnostic.loc.column
    if diagnostic.subject is not None and (diagnostic.attribute or not lines):
        yield from _op_excerpt(diagnostic.subject, diagnostic.attribute)
    elif 0 < line <= len(lines):
        yield lines[line - 1].expandtabs(1)
        yield " " * (column - 1) + "^" if column else ""


def _op_excerpt(op: Op, attribute: str | None) -> Iterator[str]:
    shown = f"%{op.name} = {print_call(op)}"
    start, length = _span(shown, op, attribute)
    with suppress(Rejected):  # what is wrong may be that the op has no type
        shown += f" : {op.type}"
    yield shown
    yield " " * start + "^" * length


def _span(shown: str, op: Op, attribute: str | None) -> tuple[int, int]:
    """Return where a field stands in the text of an op; nowhere (0, 0) if it does not."""
    if attribute is None:
        return 0, 0
    value = getattr(op, attribute, None)
    wanted = f"%{value.name}" if isinstance(value, Op) else f"{attribute} = {print_value(value)}"
    start = shown.find(wanted, len(op.name) + 1)
    return (start, len(wanted)) if start >= 0 else (0, 0)
