"""The verdict on a model as a page of text: layers, findings, margins, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.report import Paint, cures, render, summarize
from ai8xc.ir.report_model import LayerRow, Margin, Survey

ROWS: Final = 40
PLACES: Final = 6
CURES: Final = 4
"""Rows of the table of layers, and places and cures of one rule, that are shown in full."""


def page(survey: Survey, paint: Paint, text: str = "", *, with_margins: bool = False) -> str:
    """Return the page; `text` is the content of the file where it is text."""
    parts = ["\n".join(layer_table(survey.layers)) + "\n"] if survey.layers else []
    parts += [_group(found, paint, text) for found in by_rule(survey.diagnostics)]
    if with_margins and survey.margins:
        parts.append("\n".join(margin_table(survey.margins)) + "\n")
    parts.append(verdict(survey) + "\n")
    return "\n".join(parts)


def verdict(survey: Survey) -> str:
    """Return the last lines: whether the model fits, what it takes, or how much is wrong."""
    if survey.fits:
        cost = f", {survey.cycles:,} cycles" if survey.cycles else ""
        count = len(survey.layers)
        layers = f"{count} layer{'s' if count != 1 else ''}{cost}"
        return f"`{survey.source}` can be compiled for {survey.device}: {layers}"
    line = summarize(survey.diagnostics, survey.source) + f" for {survey.device}"
    return "\n".join([line, *exceeded(survey.margins)])


def exceeded(margins: Iterable[Margin]) -> Iterator[str]:
    """Yield one line about the resources that are not enough, the worst first."""
    over = [m for m in margins if m.percent is not None and m.percent > 100]
    if any(m.resource == "kernel memory" for m in over):  # says more than its columns
        over = [m for m in over if m.resource != "kernel columns"]
    worst = sorted(over, key=lambda m: -(m.percent or 0))
    parts = [f"{m.resource} {m.used:,} of {m.limit:,} ({_times(m.percent or 0)})" for m in worst]
    if parts:
        yield "too large: " + ", ".join(parts)


def _times(percent: float) -> str:
    return f"{percent / 100:.0f} times" if percent >= 1000 else f"{percent / 100:.1f} times"


def by_rule(diagnostics: Iterable[Diagnostic]) -> list[list[Diagnostic]]:
    """Return findings by rule, errors first, in the order in which they came."""
    found: dict[str, list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        found.setdefault(diagnostic.rule.id, []).append(diagnostic)
    order = ("error", "warning", "note")
    return sorted(found.values(), key=lambda group: order.index(group[0].severity))


def _group(found: Sequence[Diagnostic], paint: Paint, text: str) -> str:
    """Return one finding in full, several of one rule as a list of places."""
    first = found[0]
    if len(found) == 1:
        return render(first, paint, text)
    kind = paint(first.severity, f"{first.severity}[{first.rule.id}]")
    title = first.rule.title or "the same in several places"
    lines = [f"{kind}{paint('bold', f': {title} ({len(found)} places)')}"]
    arrow = paint("frame", "-->")
    lines += [f"  {arrow} {_place(one)}: {one.message}" for one in found[:PLACES]]
    rest = len(found) - PLACES
    if rest > 0:
        lines.append(f"      and {rest} more; `--format json` lists all")
    equals = paint("frame", "=")
    notes = [note for note in first.notes if all(note in one.notes for one in found)]
    lines += [f"   {equals} {paint('note', 'note')}: {note}" for note in notes]
    helps = list(dict.fromkeys(text for one in found for text in cures(one)))
    lines += [f"   {equals} {paint('help', 'help')}: {text}" for text in helps[:CURES]]
    return "\n".join(lines) + "\n"


def _place(diagnostic: Diagnostic) -> str:
    nodes = diagnostic.loc.nodes
    if nodes:
        return f"`{nodes[0]}`" + (f" and {len(nodes) - 1} more" if len(nodes) > 1 else "")
    return str(diagnostic.loc) or "the network"


def layer_table(layers: Sequence[LayerRow]) -> Iterator[str]:
    """Yield a table: what each layer becomes, its shapes, cycles and memory."""
    head = ("layer", "becomes", "in", "out", "bits", "kernels", "output", "cycles")
    shown = layers if len(layers) <= ROWS else (*layers[: ROWS - 5], *layers[-5:])
    rows = [head, *(_cells(layer) for layer in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for number, row in enumerate(rows):
        if len(shown) < len(layers) and number == ROWS - 4:
            yield f"... {len(layers) - ROWS} more layers"
        left = [cell.ljust(width) for cell, width in zip(row[:4], widths[:4], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[4:], widths[4:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()


def _cells(layer: LayerRow) -> tuple[str, ...]:
    name = layer.nodes[-1] if layer.nodes else layer.name
    return (
        name if len(name) <= 32 else f"...{name[-29:]}",
        layer.becomes,
        "x".join(map(str, layer.in_shape)),
        "x".join(map(str, layer.out_shape)),
        str(layer.weight_bits or ""),
        f"{layer.kernel_bytes:,}" if layer.kernel_bytes else "",
        f"{layer.data_bytes:,}",
        f"{layer.cycles:,}" if layer.cycles is not None else "",
    )


def margin_table(margins: Sequence[Margin]) -> Iterator[str]:
    """Yield a table: how much of each resource is used, and how far its limit is."""
    rows = [("resource", "used", "limit", "", "free", "")]
    for margin in margins:
        at_least = "at least " if margin.bound else ""
        limit = "" if margin.limit is None else f"{margin.limit:,}"
        percent = "" if margin.percent is None else f"{margin.percent:.1f} %"
        free = "" if margin.free is None else f"{margin.free:,}"
        where = f" (most: `{margin.where}`)" if margin.where else ""
        used = f"{at_least}{margin.used:,}"
        rows.append((margin.resource, used, limit, percent, free, f"{margin.unit}{where}"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        right = [cell.rjust(width) for cell, width in zip(row[1:5], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *right, row[5]]).rstrip()


def comparison(surveys: Sequence[Survey]) -> Iterator[str]:
    """Yield a table of devices: which one fits, and what the model costs on each."""
    rows: list[tuple[str, ...]] = [("device", "verdict", "layers", "cycles", "kernels", "data")]
    for survey in surveys:
        percents = {m.resource: m.percent for m in survey.margins if m.percent is not None}
        count = sum(one.severity == "error" for one in survey.diagnostics)
        rows.append(
            (
                survey.device,
                "fits" if survey.fits else f"{count} error{'s' if count != 1 else ''}",
                str(len(survey.layers)),
                "" if survey.cycles is None else f"{survey.cycles:,}",
                *(f"{percents[n]:.1f} %" if n in percents else "" for n in SHOWN),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()


SHOWN: Final = ("kernel memory", "data memory")
