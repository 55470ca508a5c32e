"""The network as a picture: one box an op or layer, linked to its row in the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ai8xc.report import values as get
from ai8xc.report.layout import Edge, Layout, layered
from ai8xc.report.markup import Markup, joined, tag
from ai8xc.report.values import Json

WIDTH: Final = 200
GAP: Final = 26
HEIGHT: Final = 54
STEP: Final = 84
_LETTERS: Final = 27
_SMALL_LETTERS: Final = 36
"""Letters that fit the width of a box."""


def graph_view(report: Json) -> Markup:
    """Return the picture."""
    graph = get.record(report, "graph")
    nodes = get.records(graph, "nodes")
    edges = get.pairs(graph, "edges")
    layout = layered(len(nodes), edges)
    pitch = WIDTH + GAP
    width = layout.columns * pitch
    height = (layout.rows - 1) * STEP + HEIGHT + 4
    lines = [_edge(edge, layout) for edge in edges]
    boxes = [_box(number, node, layout, report) for number, node in enumerate(nodes)]
    return tag(
        "svg",
        tag("title", f"network of {len(nodes)} nodes"),
        tag("g", *lines, class_="edges"),
        *boxes,
        role="group",
        class_="graph",
        width=round(width),
        height=height,
        viewBox=f"0 0 {round(width)} {height}",
        aria_label="network graph",
    )


def _centre(column: float) -> float:
    return column * (WIDTH + GAP) + (WIDTH + GAP) / 2


def _edge(edge: Edge, layout: Layout) -> Markup:
    source, target = edge
    x, y = _centre(layout.x[source]), layout.row[source] * STEP + HEIGHT + 2
    path = f"M{x:.1f} {y}"
    stops = [(_centre(c), row * STEP + 2, HEIGHT) for c, row in layout.bends.get(edge, ())]
    stops.append((_centre(layout.x[target]), layout.row[target] * STEP + 2, 0))
    for to, top, through in stops:
        middle = (y + top) / 2
        path += f"C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {top}"
        y = top + through
        path += f"V{y}" if through else ""
        x = to
    return tag("path", d=path)


def _box(number: int, node: Json, layout: Layout, report: Json) -> Markup:
    x = _centre(layout.x[number]) - WIDTH / 2
    y = layout.row[number] * STEP + 2
    layer = node.get("layer")
    name, op = get.text(node, "name"), get.text(node, "op").partition(".")
    findings = get.wholes(node, "findings")
    worst = _worst(findings, report)
    kind = op[2] or op[0]
    head = kind.replace("_", " ")
    detail = get.text(node, "detail")
    what = f"{head} {detail}".strip()
    lines = (
        (_short(name), "name", 16),
        (what if len(what) <= _SMALL_LETTERS else f"{what[: _SMALL_LETTERS - 1]}…", "what", 31),
        (get.dims(node, "shape"), "shape", 45),
    )
    body = joined(
        tag("title", _title(node)),
        tag("rect", x=x, y=y, width=WIDTH, height=HEIGHT, rx=5),
        *(tag("text", line, x=x + WIDTH / 2, y=y + at, class_=style) for line, style, at in lines),
        _badge(findings, worst, x + WIDTH, y) if findings else Markup(),
    )
    style = " ".join(filter(None, ("node", worst, "output" if node.get("output") else "")))
    return tag(
        "a", body, href=_target(layer, findings), class_=style, id=f"node-{number}", **_of(layer)
    )


def _of(layer: object) -> Mapping[str, int]:
    return {"data_layer": layer} if isinstance(layer, int) else {}


def _target(layer: object, findings: list[int]) -> str | None:
    if findings:
        return f"#finding-{findings[0]}"
    return f"#layer-{layer}" if isinstance(layer, int) else None


def _badge(findings: list[int], worst: str, x: float, y: float) -> Markup:
    return tag(
        "g",
        tag("circle", cx=x - 4, cy=y + 4, r=9),
        tag("text", str(len(findings)), x=x - 4, y=y + 8),
        class_=f"badge {worst}",
    )


def _worst(findings: list[int], report: Json) -> str:
    found = get.records(report, "diagnostics")
    severities = {get.text(found[number], "severity") for number in findings}
    return next((kind for kind in ("error", "warning", "note") if kind in severities), "")


def _title(node: Json) -> str:
    nodes = get.texts(node, "nodes")
    origin = f" - from {', '.join(nodes)}" if nodes else ""
    return f"{get.text(node, 'name')}: {get.text(node, 'op')}, {get.dims(node, 'shape')}{origin}"


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[:12]}…{name[-(_LETTERS - 13) :]}"
