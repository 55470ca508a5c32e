"""Graphs of the hardware level from the resolved networks of the vendor vectors.

A vector (`case.json`) lists every layer with all defaults filled in; this builds the layers with
their placement, without going through any front end.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ai8xc.device import Device, load_device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Data, Graph, Input, Mask, Op, make_graph
from ai8xc.ir.types import Array, Element, TensorType

ELEMENTS: dict[int, Element] = {8: "i8", 4: "i4", 2: "i2", 1: "i1", -1: "bin", 0: "i8"}

BYPASS_SHIFT = 7
"""The total shift of a layer with kernel bypass that states none: none at all."""

Case = dict[str, Any]


def case_device(case: Case) -> Device:
    return load_device(case["device"].lower())


def case_settings(case: Case, snoop: tuple[int, ...] = ()) -> Settings:
    """The options of a vector that change registers; `snoop` are the values of its snoopers."""
    flags = case["flags"]
    on = set(flags)
    fast = "--fast-fifo-quad" in on or "--fast-fifo" in on
    mode = "fast-fifo-quad" if "--fast-fifo-quad" in on else "fast-fifo" if fast else "memory"
    if mode == "memory" and "--fifo" in on:
        mode = "fifo"

    def number(flag: str, default: int | None = None) -> Any:
        return int(flags[flags.index(flag) + 1], 0) if flag in on else default

    allocation = case["allocation"]
    return Settings(
        input_mode=mode,  # type: ignore[arg-type] # one of the four
        fifo_wait="--no-fifo-wait" not in on,
        fifo_go="--fifo-go" in on,
        pipeline=bool(allocation["pipeline"]),
        pll=bool(allocation["pll"]),
        average_rounding="--avg-pool-rounding" in on,
        external_ready="--ext-rdy" in on,
        express="--no-mexpress" not in on,
        simple1b="--simple1b" in on,
        power_down="--powerdown" in on,
        zero_memories="--zero-sram" in on,
        write_zeros="--write-zero-registers" in on,
        repeat=number("--repeat-layers", 1),
        link_layers="--link-layer" in on,
        overlap="--overlap-data" in on,
        snoop=snoop,
        riscv="--riscv" in on,
        stream_start=number("--override-start"),
        stream_delta1=number("--override-delta1"),
        stream_delta2=number("--override-delta2"),
        stream_rollover=number("--override-rollover"),
        stream_more_start=number("--increase-start", 2),
        stream_more_delta1=number("--increase-delta1", 0),
        stream_more_delta2=number("--increase-delta2", 0),
    )


def case_graph(
    case: Case, arrays: dict[str, Array], description: str = "", *, simulated: bool = False
) -> Graph:
    """The network of a vector, processors and offsets as the vector has them.

    `description` is the text of the vendor's description of it, which alone has the values of the
    snoopers and says where `tcalc` is switched off. `simulated`: the layers that really run, where
    a snooper ends or shortens the run; its registers mean nothing.
    """
    shape = _three(arrays["input"].shape)
    given = Input(TensorType((1, *shape), "i8"), name="x")
    known: dict[int, Op] = {-1: given}
    ops: list[Op] = [given]
    before, index = -1, case["start_layer"]
    while True:
        layer = case["layers"][index]
        sources = layer["in_sequences"]
        xs = [known[i] for i in ([before] if sources is None else sources)]
        made = _layer(layer, tuple(xs), arrays, case | {"description": description})
        known[index] = made
        ops.append(made)
        before, index = index, layer["next"]
        if simulated and layer["simulated_next"] is not None:
            index = layer["simulated_next"]
        if before == case["final_layer"] or index == -1:
            break
    ends = [case["terminating_layer"]] if simulated else case["output_layers"]
    outputs = [known[i] for i in ends]
    found = re.search(r"^snoop: *\[([^]]*)\]", description, re.MULTILINE)
    snoop = tuple(int(value, 0) for value in found[1].split(",")) if found else ()
    return case_settings(case, snoop).on(make_graph("net", "ai8x", ops, outputs))


def _three(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, rows, *columns = shape
    return channels, rows, columns[0] if columns else 1


def _two(values: list[int]) -> tuple[int, int]:
    rows, *columns = values
    return rows, columns[0] if columns else 1


def _layer(layer: Case, xs: tuple[Op, ...], arrays: dict[str, Array], case: Case) -> ai8x.Layer:
    common = _gathering(layer, xs) | {
        "pool": _pool(layer, case),
        "pool_first": layer["pool_first"],
        "place": _place(layer),
        "mode": _mode(layer, case),
        "name": f"layer{layer['index']}",
    }
    if layer["op"] == "none":
        return ai8x.Passthrough(**common)
    weight = _weights(layer, arrays)
    bits = weight.element
    width = 1 if bits == "bin" else int(bits[1:])
    shift = layer["output_shift"]
    if shift is None:
        shift = BYPASS_SHIFT if layer["bypass"] else 0
    bias = None
    if layer["has_bias"]:
        found = arrays.get(f"b_{layer['index']}", np.zeros(layer["out_channels"], np.int8))
        bias = ai8x.Constant(Data(found.astype(np.int8)))
    common |= {
        "weight": weight,
        "bias": bias,
        "output_shift": shift - (8 - width),
        "activation": layer["activation"] or "none",
        "wide": layer["output_width"] == 32,
        "bypass": layer["bypass"],
    }
    if layer["flatten"] or layer["op"] == "linear":
        return ai8x.Linear(**common, flatten=layer["flatten"])
    pad = _two(layer["pad"])
    if layer["op"] == "convtranspose2d":
        return ai8x.ConvTranspose2d(**common, pad=pad, groups=layer["groups"])
    kind = ai8x.Conv1d if layer["op"] == "conv1d" else ai8x.Conv2d
    if kind is ai8x.Conv1d:
        pad = (pad[0], 0)
    dilation = _two(layer["dilation"])
    return kind(**common, pad=pad, dilation=dilation, groups=layer["groups"])


def _gathering(layer: Case, xs: tuple[Op, ...]) -> dict[str, Any]:
    parts, crop = layer["operands"], tuple(layer["in_crop"] or (0, 0))
    wanted = (layer["in_channels"] * parts, *_two(layer["in_dim"]))
    fields: dict[str, Any] = {"xs": xs, "parts": parts, "eltwise": layer["eltwise"] or "none"}
    sizes = {x.type.shape[2:] for x in xs}
    if len(sizes) > 1:
        return fields | {"gather": "pixels", "view": wanted}
    rows, columns = sizes.pop()
    gathered = (sum(x.type.shape[1] for x in xs), rows - sum(crop), columns)
    fields["crop"] = crop
    if gathered != wanted:
        fields["view"] = wanted
    return fields


def _pool(layer: Case, case: Case) -> ai8x.Pool | None:
    window, strides = _two(layer["pool"]), _two(layer["pool_stride"])
    if window == (1, 1) and strides == (1, 1):
        return None
    rounding = "--avg-pool-rounding" in case["flags"] and layer["op"] != "conv1d"
    dilations = _two(layer["pool_dilation"])
    return ai8x.Pool(
        window,
        strides,
        average=layer["pool_average"],
        dilations=() if dilations == (1, 1) else dilations,
        rounding=rounding,
    )


def _place(layer: Case) -> ai8x.Place:
    groups = layer["bias_groups"]
    return ai8x.Place(
        Mask(int(layer["processors"], 16)),
        Mask(int(layer["output_processors"], 16)),
        in_offset=layer["in_offset"],
        out_offset=layer["out_offset"],
        read_gap=layer["read_gap"],
        write_gap=layer["write_gap"],
        bias_group=groups[0] if groups else None,
        slot=layer["index"],
    )


def _mode(layer: Case, case: Case) -> ai8x.Mode:
    passes = case["allocation"]["in_expand"][layer["index"]]
    return ai8x.Mode(
        chw=layer["chw"],
        streaming=layer["streaming"],
        readahead=layer["readahead"],
        calcx4=layer["calcx4"],
        tcalc=layer["readahead"] and passes > 1 and "tcalc: false" not in case["description"],
        on_hit=layer["snoop_next"],
    )


def _weights(layer: Case, arrays: dict[str, Array]) -> ai8x.Constant:
    channels, groups = layer["in_channels"], layer["groups"]
    if layer["flatten"]:
        channels *= int(np.prod(layer["pooled_dim"]))
    kernel = layer["kernel"] if layer["op"] != "conv1d" else layer["kernel"][:1]
    shape = [layer["out_channels"], channels // groups, *kernel]
    if layer["op"] == "linear" or layer["flatten"]:
        shape = shape[:2]
    if layer["bypass"]:
        return ai8x.Constant(Data(np.ones(shape, np.int8)))
    found = arrays[f"w_{layer['index']}"].astype(np.int8)
    return ai8x.Constant(Data(found.reshape(shape)), ELEMENTS[layer["weight_bits"]])
