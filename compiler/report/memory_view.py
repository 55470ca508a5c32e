"""Pictures of the memories: data over time, kernels by processor and column, biases by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ai8xc.report import values as get
from ai8xc.report.markup import Markup, tag
from ai8xc.report.values import Json

COLOURS: Final = 12
_LANE: Final = 5
_STEP_GAP: Final = 14
_HEIGHT: Final = 260
_LEFT: Final = 62
_TOP: Final = 8
_CELL: Final = 11


def colour(number: int | None) -> str:
    """Return the class of a layer's colour; the network's input has one of its own."""
    return "input" if number is None else f"c{number % COLOURS}"


def data_view(report: Json) -> Markup:
    """Return one strip a step: memories from left to right, bytes from the top down."""
    memory = get.record(report, "data_memory")
    steps, lanes = get.texts(memory, "steps"), get.whole(memory, "memories")
    size = shown_part(get.whole(memory, "bytes"), max(get.wholes(memory, "peak"), default=0))
    order = {name: number for number, name in enumerate(steps)}
    pitch = lanes * _LANE + _STEP_GAP
    width = _LEFT + len(steps) * pitch
    parts = list(_axis(size, width))
    for step, name in enumerate(steps):
        x = _LEFT + step * pitch
        parts.append(_frame(x, lanes * _LANE, _HEIGHT))
        for tensor in get.records(memory, "tensors"):
            if get.whole(tensor, "first") <= step <= get.whole(tensor, "last"):
                parts += _tensor(tensor, x, size, order, step)
        parts.append(_label(step, name, x + lanes * _LANE / 2))
    return _picture("data memory by step", width, _TOP + _HEIGHT + 22, parts)


def _tensor(
    tensor: Json, x: float, size: int, order: Mapping[str, int], step: int
) -> Iterator[Markup]:
    start, end = get.whole(tensor, "start"), get.whole(tensor, "end")
    name, number = get.text(tensor, "name"), order.get(get.text(tensor, "name"))
    first, last = get.whole(tensor, "first"), get.whole(tensor, "last")
    memories = get.wholes(tensor, "memories")
    for low, high in runs(memories):
        shown = f"{low}" if high == low + 1 else f"{low} to {high - 1}"
        kind = get.text(tensor, "kind")
        words = f"{kind} {name}: bytes {start:,} to {end - 1:,} of memories {shown}"
        words += f", steps {first} to {last}"
        part = get.whole(tensor, "word_step") or 1
        words += f", one word of {part}" if part > 1 else ""
        lane = (high - low) * _LANE / part
        fresh = "fresh" if first == step and number is not None else ""
        yield tag(
            "rect",
            tag("title", words),
            x=x + low * _LANE + start // 4 % part * lane,
            y=_TOP + start * _HEIGHT / size,
            width=lane,
            height=max((end - start) * _HEIGHT / size, 1.5),
            class_=f"{colour(number)} {fresh}".strip(),
            data_layer=number,
        )


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last + 1) of each run of ascending numbers."""
    start = previous = None
    for current in numbers:
        if start is not None and previous is not None and current != previous + 1:
            yield start, previous + 1
            start = current
        start = current if start is None else start
        previous = current
    if start is not None and previous is not None:
        yield start, previous + 1


def shown_part(size: int, used: int) -> int:
    """Return the part of a memory that is drawn: all of it, its half, its quarter, its eighth."""
    return next(part for part in (size // 8, size // 4, size // 2, size) if used <= part)


def kernel_view(report: Json) -> Markup:
    """Return one column of the picture a processor, kernel columns from the top down."""
    memory = get.record(report, "kernel_memory")
    capacity = get.wholes(memory, "columns")
    size = shown_part(max(capacity), highest_column(memory))
    order = _order(report)
    width = _LEFT + len(capacity) * _CELL
    parts = list(_axis(size, width, "column"))
    for processor, columns in enumerate(capacity):
        x = _LEFT + processor * _CELL
        parts.append(_frame(x, _CELL - 1, min(columns, size) * _HEIGHT / size))
        if processor % 4 == 0:
            at = x + _CELL / 2
            parts.append(tag("text", str(processor), x=at, y=_TOP + _HEIGHT + 14, class_="tick"))
    for layer in get.records(memory, "layers"):
        parts += _kernels(layer, order, size)
    return _picture("kernel memory by processor", width, _TOP + _HEIGHT + 22, parts)


def highest_column(memory: Json) -> int:
    """Return the first kernel column behind all that are in use."""
    blocks = (b for layer in get.records(memory, "layers") for b in get.records(layer, "blocks"))
    return max((end for block in blocks for _, end in get.pairs(block, "columns")), default=0)


def _kernels(layer: Json, order: Mapping[str, int], size: int) -> Iterator[Markup]:
    name = get.text(layer, "layer")
    number = order.get(name)
    for block in get.records(layer, "blocks"):
        first, last = get.wholes(block, "processors")
        for start, end in get.pairs(block, "columns"):
            words = f"{name}: columns {start:,} to {end - 1:,} of processors {first} to {last - 1}"
            yield tag(
                "rect",
                tag("title", words),
                x=_LEFT + first * _CELL,
                y=_TOP + start * _HEIGHT / size,
                width=(last - first) * _CELL - 1,
                height=max((end - start) * _HEIGHT / size, 1.5),
                class_=colour(number),
                data_layer=number,
            )


def bias_view(report: Json) -> Markup:
    """Return one bar a group, bytes from left to right."""
    memory = get.record(report, "bias_memory")
    size, groups = get.whole(memory, "bytes"), get.whole(memory, "groups")
    used, order, length = get.wholes(memory, "used"), _order(report), 640
    parts = []
    for group in range(groups):
        y = _TOP + group * 30
        label = f"group {group}"
        parts.append(tag("text", label, x=_LEFT - 8, y=y + 14, class_="tick end"))
        parts.append(tag("rect", x=_LEFT, y=y, width=length, height=20, class_="frame"))
        taken = f"{used[group]:,} of {size:,} bytes"
        parts.append(tag("text", taken, x=_LEFT + length + 8, y=y + 14, class_="tick start"))
    for block in get.records(memory, "blocks"):
        name, start, end = (
            get.text(block, "layer"),
            get.whole(block, "start"),
            get.whole(block, "end"),
        )
        number = order.get(name)
        parts.append(
            tag(
                "rect",
                tag("title", f"{name}: bytes {start:,} to {end - 1:,}"),
                x=_LEFT + start * length / size,
                y=_TOP + get.whole(block, "group") * 30,
                width=max((end - start) * length / size, 1),
                height=20,
                class_=colour(number),
                data_layer=number,
            )
        )
    return _picture("bias memory by group", _LEFT + length + 150, _TOP + groups * 30, parts)


def _order(report: Json) -> dict[str, int]:
    return {get.text(layer, "name"): n for n, layer in enumerate(get.records(report, "layers"))}


def _axis(size: int, width: float, unit: str = "byte") -> Iterator[Markup]:
    for part in range(5):
        value, y = size * part // 4, _TOP + _HEIGHT * part / 4
        yield tag("line", x1=_LEFT - 4, y1=y, x2=width, y2=y, class_="grid")
        words = f"{value:,}" if part else unit
        yield tag("text", words, x=_LEFT - 8, y=y + (8 if not part else 4), class_="tick end")


def _frame(x: float, width: float, height: float) -> Markup:
    return tag("rect", x=x, y=_TOP, width=width, height=height, class_="frame")


def _label(step: int, name: str, x: float) -> Markup:
    text = tag("text", tag("title", name), str(step), x=x, y=_TOP + _HEIGHT + 14, class_="tick")
    return tag("a", text, href=f"#layer-{step}", aria_label=f"step {step}, layer {name}")


def _picture(label: str, width: float, height: float, parts: Sequence[Markup]) -> Markup:
    return tag(
        "svg",
        *parts,
        role="group",
        aria_label=label,
        width=round(width),
        height=round(height),
        viewBox=f"0 0 {round(width)} {round(height)}",
    )
