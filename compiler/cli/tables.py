"""Tables for people: layers, memory and cycles of a project, and the tensors of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ai8xc.passes.hardware.network import HardwareNetwork

MODES: Final = (("readahead", "reads ahead"), ("calcx4", "four at once"))
"""Modes of layers, and what the table says."""
NAME_WIDTH: Final = 40
NUMBERS: Final = (0, 5, 6, 7)
"""Columns of the table of layers that are aligned to the right."""


def project_tables(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of all tables; `shown` are entries of a manifest."""
    yield f"{shown['name']} on {shown['device']}"
    yield ""
    total = (shown["cycles"] or {}).get("total")
    rows = [_row(layer, total) for layer in shown["layers"]]
    head = ("", "layer", "operation", "output", "weights", "cycles", "", "a cycle", "mostly")
    yield from _aligned([head, *rows])
    memory = shown["memory"]
    yield ""
    for what in ("weight", "bias"):
        used, there = memory[f"{what}_bytes"], memory[f"{what}_bytes_available"]
        yield f"{what} memory  {used} of {there} bytes ({100 * used / there:.1f} %)"
    if shown["cycles"]:
        cycles = shown["cycles"]
        rate = cycles["macs"] / cycles["total"]
        peak = cycles["peak_macs_per_cycle"]
        most = f"{100 * rate / peak:.1f} % of the {peak} that the device can do"
        text = f"cycles  {cycles['total']}, {cycles['macs']} multiplications"
        yield f"{text} ({rate:.1f} a cycle, {most})"
        weights, inputs = cycles["weight_words"], cycles["input_words"]
        yield f"to load  {weights} words of weights, {inputs} of input"
    elif shown.get("least_cycles"):
        yield f"cycles  at least {shown['least_cycles']}: one output a cycle, or four at once"
        yield f"        reading comes on top; no measured cycles of {shown['device']} are known"
    if "replaced" in shown:
        yield ""
        both = [shown["replaced"][when] for when in ("before", "after")]
        rows = [
            (key.replace("_", " "), *("-" if one[key] is None else str(one[key]) for one in both))
            for key in both[0]
        ]
        yield from _aligned([("placed anew", "before", "after"), *rows], (1, 2))


def _row(layer: Mapping[str, Any], total: int | None) -> tuple[str, ...]:
    name = ", ".join(layer["nodes"]) or layer["name"]
    short = name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"
    cycles = layer.get("cycles")
    least = layer.get("least_cycles")
    share = f"{100 * cycles / total:.0f} %" if cycles is not None and total else ""
    return (
        str(layer["number"]),
        short,
        ", ".join([layer["operation"], *(told for mode, told in MODES if layer.get(mode))]),
        "x".join(map(str, layer["shape"])),
        f"{layer['weight_bits']} bits" if layer["weight_bits"] else "",
        str(cycles) if cycles is not None else f">= {least}" if least is not None else "",
        share,
        f"{layer['macs'] / cycles:.1f}" if cycles else "",
        layer.get("dominated_by") or "",
    )


def _aligned(rows: Sequence[Sequence[str]], numbers: Sequence[int] = NUMBERS) -> Iterator[str]:
    """Yield rows as columns; those of numbers are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def tensor_table(network: HardwareNetwork) -> Iterator[str]:
    """Yield the lines about weights and biases: shapes, ranges, widths, shifts, totals."""
    head = ("", "layer", "weights", "from", "to", "bits", "biases", "from", "to", "shift")
    rows: list[Sequence[str]] = [head]
    count = bits = biases = 0
    for layer in network.by_slot:
        weighted = layer.weighted
        if weighted is None or weighted.bypass:
            continue
        weights, bias = layer.weights, layer.bias
        count, bits = count + weights.size, bits + weights.size * abs(layer.weight_bits)
        biases += 0 if bias is None else bias.size
        rows.append(
            (
                *(str(layer.number), layer.op.name, "x".join(map(str, weighted.weight.type.shape))),
                *(str(weights.min()), str(weights.max()), str(layer.weight_bits)),
                *(
                    ("", "", "")
                    if bias is None
                    else (str(bias.size), str(bias.min()), str(bias.max()))
                ),
                str(weighted.output_shift),
            )
        )
    yield from _aligned(rows, (0, 3, 4, 5, 6, 7, 8, 9))
    yield f"{count} weights in {bits // 8} bytes, {biases} biases"
