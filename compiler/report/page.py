"""The report as one page of HTML: nothing is loaded from elsewhere, nothing is computed there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from string import Template

from ai8xc.report import values as get
from ai8xc.report.graph_view import graph_view
from ai8xc.report.markup import Markup, joined, tag
from ai8xc.report.memory_view import (
    bias_view,
    colour,
    data_view,
    highest_column,
    kernel_view,
    shown_part,
)
from ai8xc.report.values import Json


class PageTemplate(Template):
    """A template whose placeholders are `@{name}`, which styles and scripts never contain."""

    delimiter = "@"
    idpattern = "(?!)"
    braceidpattern = "[a-z]+"


@cache
def _file(name: str) -> str:
    return resources.files("ai8xc.report").joinpath(name).read_text("utf-8")


def as_json(report: Json) -> str:
    """Return the dictionary as a document of JSON."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def page(report: Json) -> str:
    """Return the page."""
    device = get.text(get.record(report, "device"), "name")
    title = f"{get.text(report, 'model')} on {device}"
    sections = list(_sections(report))
    links = (tag("a", heading, href=f"#{name}") for name, heading, _ in sections)
    filled = {
        "title": joined(title),
        "links": joined(*links),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "body": joined(_head(report, title), *(section for _, _, section in sections)),
    }
    return PageTemplate(_file("page.html")).substitute(filled)


def _sections(report: Json) -> Iterator[tuple[str, str, Markup]]:
    """Yield name, heading and content of each section."""
    yield _section("findings", "Findings", _findings(report))
    yield _section("graph", "Network", _scroll(graph_view(report)), _graph_note(report))
    if not get.records(report, "layers"):
        return
    yield _section("layers", "Layers", _scroll(_layers(report)))
    if report.get("cycles"):
        yield _section("cycles", "Cycles by layer", _cycles(report), CYCLES_NOTE)
    if any(_has_noise(layer) for layer in get.records(report, "layers")):
        yield _section("noise", "Signal to noise by layer", _noise(report), NOISE_NOTE)
    note = DATA_NOTE + _rest(*_data_use(report), "bytes of each memory")
    yield _section("data", "Data memory over time", _scroll(data_view(report)), note)
    note = KERNEL_NOTE + _rest(*_kernel_use(report), "columns of a processor")
    yield _section("kernels", "Kernel memory by processor", _scroll(kernel_view(report)), note)
    yield _section("biases", "Bias memory by group", _scroll(bias_view(report)))


REACHED = {
    "nn": "the float network",
    "q": "the network of integers",
    "ai8x": "layers of the accelerator, without places",
}
"""How far the compiler came, in words."""

MANY = 3
"""Findings of one rule that are shown at once."""

CYCLES_NOTE = (
    "Each bar is the time of a layer, by what takes it; beside it the multiplications a cycle "
    "and their share of what the device can do at most."
)
NOISE_NOTE = (
    "Integers against the float network on the sample, or on random input where none was given. "
    "Higher is better: 6 dB are one bit."
)
DATA_NOTE = (
    "One strip a step, numbered as in the table of layers. In a strip the data memories stand side "
    "by side, their bytes from the top down; what the step writes has a border. "
    "Tensors that lie word by word between each other share the width."
)
KERNEL_NOTE = "Processors from left to right, columns of nine bytes from the top down."


def _data_use(report: Json) -> tuple[int, int]:
    memory = get.record(report, "data_memory")
    return get.whole(memory, "bytes"), max(get.wholes(memory, "peak"), default=0)


def _kernel_use(report: Json) -> tuple[int, int]:
    memory = get.record(report, "kernel_memory")
    return max(get.wholes(memory, "columns")), highest_column(memory)


def _rest(size: int, used: int, what: str) -> str:
    shown = shown_part(size, used)
    if shown == size:
        return ""
    return f" The first {shown:,} of {size:,} {what} are shown; the others are free."


def _graph_note(report: Json) -> str:
    if get.records(report, "layers"):
        return "Every box is a layer of the accelerator or an input. It leads to its row below."
    if get.text(report, "level") == "ai8x":
        return "The layers of the accelerator, without places. Boxes with a number have findings."
    return (
        "The network as far as it was compiled. Boxes with a number have findings, and lead there."
    )


def _section(name: str, title: str, content: Markup, note: str = "") -> tuple[str, str, Markup]:
    heading = tag("h2", title, id=f"{name}-title")
    words = tag("p", note, class_="about") if note else Markup()
    section = tag("section", heading, words, content, id=name, aria_labelledby=f"{name}-title")
    return name, title, section


def _scroll(content: Markup) -> Markup:
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label="picture")


# Head


def _head(report: Json, title: str) -> Markup:
    fits = bool(report.get("fits"))
    device = get.text(get.record(report, "device"), "name")
    said = f"fits {device}" if fits else f"does not fit {device}"
    verdict = tag("p", said, class_=f"verdict {'fits' if fits else 'error'}")
    cards = tag("dl", *(_card(*card) for card in _cards(report)), class_="cards")
    return tag("header", tag("h1", title), verdict, cards)


def _card(name: str, value: str, share: float | None = None) -> Markup:
    content = [tag("dt", name), tag("dd", value)]
    if share is not None:
        percent = f"{100 * share:.0f} %"
        label = f"{name}: {percent} used"
        content.append(tag("dd", tag("meter", percent, value=round(share, 4), aria_label=label)))
    return tag("div", *content)


def _cards(report: Json) -> Iterator[tuple[str, str, float | None]]:
    device, layers = get.record(report, "device"), get.records(report, "layers")
    if not layers:
        yield "reached", REACHED[get.text(report, "level")], None
        return
    limit = get.whole(device, "max_layers")
    yield "layers", f"{len(layers)} of {limit}", len(layers) / limit
    cycles = get.record(report, "cycles")
    if cycles:
        total, macs = get.whole(cycles, "total"), get.whole(cycles, "macs")
        rate, peak = macs / max(total, 1), get.whole(device, "peak_macs_per_cycle")
        yield "cycles (estimate)", f"{total:,}", None
        yield "multiplications", f"{macs:,}", None
        yield "a cycle", f"{rate:.1f} of {peak}", rate / peak
    data = get.record(report, "data_memory")
    peak, size = max(get.wholes(data, "peak"), default=0), get.whole(data, "bytes")
    yield "data memory, highest byte", f"{peak:,} of {size:,}", peak / size
    kernels = get.record(report, "kernel_memory")
    used, all_columns = sum(get.wholes(kernels, "used")), sum(get.wholes(kernels, "columns"))
    yield "kernel columns", f"{used:,} of {all_columns:,}", used / all_columns
    biases = get.record(report, "bias_memory")
    used, room = sum(get.wholes(biases, "used")), get.whole(device, "bias_bytes")
    yield "bias bytes", f"{used:,} of {room:,}", used / room


# Findings


def _findings(report: Json) -> Markup:
    found = get.records(report, "diagnostics")
    if not found:
        return tag("p", "Nothing is wrong, and nothing needs to be known.")
    nodes = get.records(get.record(report, "graph"), "nodes")
    by_rule: dict[str, list[int]] = {}
    for number, finding in enumerate(found):
        by_rule.setdefault(get.text(finding, "rule"), []).append(number)
    parts = []
    for numbers in by_rule.values():
        entries = [_finding(number, found[number], nodes) for number in numbers]
        shown = tag("ol", *entries, class_="findings")
        parts.append(
            shown if len(numbers) <= MANY else _group(found[numbers[0]], shown, len(numbers))
        )
    return joined(*parts)


def _group(first: Json, shown: Markup, count: int) -> Markup:
    """Return many findings of one rule, closed; following a link to one of them opens it."""
    severity = get.text(first, "severity")
    head = tag("strong", f"{severity} {get.text(first, 'rule')}", class_=severity)
    words = f" {count} times, the first: {get.text(first, 'message')}"
    return tag("details", tag("summary", head, words), shown, class_="group")


def _finding(number: int, finding: Json, nodes: Sequence[Json]) -> Markup:
    severity = get.text(finding, "severity")
    head = tag("strong", f"{severity} {get.text(finding, 'rule')}", class_=severity)
    parts = [tag("p", head, " ", get.text(finding, "message"))]
    place = get.text(finding, "location")
    links = [_node_link(i, nodes[i]) for i in get.wholes(finding, "about")]
    if place or links:
        shown = [Markup(", ").join(links)] if links else []
        parts.append(
            tag("p", place, " → " if place and links else "", *map(Markup, shown), class_="place")
        )
    parts += [tag("p", f"note: {note}", class_="about") for note in get.texts(finding, "notes")]
    if get.text(finding, "help"):
        parts.append(tag("p", f"help: {get.text(finding, 'help')}", class_="help"))
    why = get.text(finding, "explanation")
    parts.append(tag("details", tag("summary", "why this is so"), tag("p", why)))
    return tag("li", *parts, id=f"finding-{number}", class_=severity)


def _node_link(number: int, node: Json) -> Markup:
    layer = node.get("layer")
    target = f"#layer-{layer}" if isinstance(layer, int) else f"#node-{number}"
    return tag("a", get.text(node, "name"), href=target)


# Layers

_HEADS = (
    "step", "layer", "operation", "input", "output", "weights", "processors", "reads at",
    "writes at", "kernels at", "your nodes",
)  # fmt: skip


_MODES = (
    ("streaming", "streams"),
    ("readahead", "reads ahead"),
    ("calcx4", "four outputs at once"),
)


def _layers(report: Json) -> Markup:
    head = tag("tr", *(tag("th", name, scope="col") for name in _HEADS))
    rows = [_layer(i, layer) for i, layer in enumerate(get.records(report, "layers"))]
    return tag("table", tag("thead", head), tag("tbody", *rows))


def _layer(number: int, layer: Json) -> Markup:
    bits = layer.get("weight_bits")
    weights = f"{get.whole(layer, 'weight_bytes'):,} B, {bits} bit" if bits else "-"
    what = f"{get.text(layer, 'operation').replace('_', ' ')} {get.text(layer, 'detail')}"
    start = layer.get("kernel_start")
    masks = joined(
        _mask(get.text(layer, "processors")), " → ", _mask(get.text(layer, "output_processors"))
    )
    passes = get.whole(layer, "passes")
    cells = (
        joined(tag("i", class_=f"chip {colour(number)}"), str(number)),
        get.text(layer, "name"),
        ", ".join([what, *(told for mode, told in _MODES if layer.get(mode))]),
        get.dims(layer, "input") + (f" ({passes} passes)" if passes > 1 else ""),
        get.dims(layer, "output"),
        weights,
        masks,
        f"{get.whole(layer, 'in_offset'):#06x}",
        f"{get.whole(layer, 'out_offset'):#06x}",
        f"column {start}" if isinstance(start, int) and bits else "-",
        ", ".join(get.texts(layer, "nodes")),
    )
    first, second, *rest = cells
    row = [tag("td", first), tag("th", second, scope="row"), *(tag("td", cell) for cell in rest)]
    return tag("tr", *row, id=f"layer-{number}", data_layer=number)


def _mask(mask: str) -> Markup:
    """Return a mask of processors as ranges; the whole number is in the title."""
    value = int(mask, 16)
    found = [p for p in range(value.bit_length()) if value >> p & 1]
    if not found:
        return Markup("-")
    dense = len(found) == found[-1] - found[0] + 1
    shown = (
        f"{found[0]}-{found[-1]}" if dense and len(found) > 1 else f"{len(found)} from {found[0]}"
    )
    return tag("span", str(found[0]) if len(found) == 1 else shown, title=mask)


# Bars

_PARTS = ("fetch", "output", "padding", "setup")


def _cycles(report: Json) -> Markup:
    layers = get.records(report, "layers")
    longest = max((get.whole(get.record(x, "cycles"), "total") for x in layers), default=1)
    legend = tag("p", *(_key(part) for part in _PARTS), class_="legend")
    rows = [_cycle_row(i, layer, max(longest, 1)) for i, layer in enumerate(layers)]
    return joined(
        legend, tag("table", _bar_head("cycles", "multiplications a cycle"), *rows, class_="bars")
    )


def _key(part: str) -> Markup:
    return tag("span", tag("i", class_=f"chip {part}"), part)


def _bar_head(*names: str) -> Markup:
    cells = (tag("th", name, scope="col") for name in ("layer", *names))
    return tag("thead", tag("tr", *cells))


def _cycle_row(number: int, layer: Json, longest: int) -> Markup:
    cycles = get.record(layer, "cycles")
    own = sum(get.whole(cycles, part) for part in _PARTS)
    scale = get.whole(cycles, "total") / own if own else 0.0  # what streams is estimated longer
    bars = [
        tag(
            "i",
            class_=f"bar {part}",
            style=f"width:{100 * get.whole(cycles, part) * scale / longest:.2f}%",
        )
        for part in _PARTS
    ]
    told = f"{get.whole(cycles, 'total'):,}" + (" (streams)" if cycles.get("estimated") else "")
    rate, percent = (
        get.real(layer, "macs_per_cycle") or 0.0,
        get.real(layer, "percent_of_peak") or 0.0,
    )
    share = f"{rate:.1f} ({percent:.0f} % of the peak)" if rate else "no multiplications"
    return _bar_row(number, layer, joined(*bars), told, share)


def _bar_row(number: int, layer: Json, bars: Markup, told: str, more: str = "") -> Markup:
    link = tag("a", get.text(layer, "name"), href=f"#layer-{number}")
    cells = [
        tag("th", link, scope="row"),
        tag("td", tag("div", bars, tag("span", told), class_="track")),
    ]
    if more:
        cells.append(tag("td", more))
    return tag("tr", *cells, data_layer=number)


def _has_noise(layer: Json) -> bool:
    return layer.get("snr_db") is not None or bool(layer.get("exact"))


def _noise(report: Json) -> Markup:
    layers = get.records(report, "layers")
    best = max((get.real(layer, "snr_db") or 0.0 for layer in layers), default=0.0)
    rows = []
    for number, layer in enumerate(layers):
        if not _has_noise(layer):
            continue
        ratio = get.real(layer, "snr_db")
        share = 1.0 if ratio is None else max(ratio, 0.0) / max(best, 1.0)
        bar = tag("i", class_=f"bar {colour(number)}", style=f"width:{100 * share:.2f}%")
        rows.append(_bar_row(number, layer, bar, "exact" if ratio is None else f"{ratio:.1f} dB"))
    return tag("table", _bar_head("signal to noise"), *rows, class_="bars")
