"""What would make a finding go away, with its cost: a table of cures by rule.

Costs are those of the layers that a cure adds or takes away, by the same estimate as the table of
layers. What retraining does to the accuracy is said in words: nobody can know it before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from ai8xc.dialects import ai8x, nn, q
from ai8xc.frontend.onnx_fix import HOST, RETRAIN
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Cure, Diagnostic, Rule
from ai8xc.ir.report_model import LayerRow, Survey
from ai8xc.ir.types import Array, TensorType
from ai8xc.rules.remedies import REMEDIES, Effect
from ai8xc.summary import layer_rows

if TYPE_CHECKING:
    from ai8xc.device import Device

WORD: Final = 4
SAME: Final = "train again: usually as good"
LITTLE: Final = "train again: usually a little lower"
SOME: Final = "train again: less detail, some loss"


@dataclass(frozen=True)
class Case:
    """A finding, the op that it is about (None where it is about the file), and the device."""

    finding: Diagnostic
    subject: Op | None
    device: Device


Cures = Callable[[Case], Iterator[Cure]]


def with_cures(survey: Survey, device: Device, model: Graph | None = None) -> Survey:
    """Return the verdict with a cure for each error at least.

    `model` is the network that it is about, whose weights tell what fewer bits cost.
    """
    told = (_cured(finding, device) for finding in survey.diagnostics)
    found = tuple(_with_noise(finding, model) for finding in told)
    return replace(survey, diagnostics=found)


def _cured(finding: Diagnostic, device: Device) -> Diagnostic:
    if finding.severity != "error":
        return finding
    made = CURES.get(finding.rule.id)
    more = made(Case(finding, finding.subject, device)) if made else ()
    cures = (*finding.cures, *more)
    if not cures:
        cures = _of_text(finding)
    help = finding.help or "; or ".join(cure.text for cure in cures) or None
    return replace(finding, cures=cures, help=help)


def _with_noise(finding: Diagnostic, model: Graph | None) -> Diagnostic:
    """Return a finding about kernel memory with what narrower weights lose."""
    layer = finding.subject
    if finding.rule.id != "WMEM" or model is None or not isinstance(layer, ai8x.Weighted):
        return finding
    values = _weights_of(layer, model)
    if values is None:
        return finding
    narrow = layer.weight_bits // 2
    ratios = [weight_snr_db(values, bits) for bits in (narrow, layer.weight_bits)]
    effect = f"its weights keep {ratios[0]:.0f} dB of signal to noise, now {ratios[1]:.0f} dB"
    effect += "; training with these bits keeps most of it"
    cures = (
        replace(cure, accuracy=effect) if cure.text.startswith(f"{narrow}-bit weights") else cure
        for cure in finding.cures
    )
    return replace(finding, cures=tuple(cures))


def _weights_of(layer: ai8x.Weighted, model: Graph) -> Array | None:
    """Return the weights of the user's node that became a layer."""
    nodes = set(layer.loc.nodes)
    for op in model.ops:
        weight = getattr(op, "weight", None)
        if isinstance(weight, nn.Constant) and nodes & set(op.loc.nodes):
            return weight.value.array
    return None


def weight_snr_db(values: Array, bits: int) -> float:
    """Return the signal-to-noise ratio of weights in so many bits, in decibels.

    The step is the power of two that holds the largest weight, as for a layer's shift.
    """
    peak = float(np.abs(values).max())
    if not peak:
        return float("inf")
    low = 2.0 ** (bits - 1)
    step = 2.0 ** np.ceil(np.log2(peak / low))
    error = values - step * np.clip(np.round(values / step), -low, low - 1)
    noise = float((error.astype(float) ** 2).sum())
    return float(10 * np.log10(float((values.astype(float) ** 2).sum()) / noise)) if noise else 99.0


def _of_text(finding: Diagnostic) -> tuple[Cure, ...]:
    """Return the cure that a finding or its rule names, with what is known of its cost."""
    rule = finding.rule
    text = finding.help or rule.cure or ANYWAY.get(rule.id) or ANYWAY.get(rule.level, "")
    if not text:
        return ()
    remedy = REMEDIES.get(rule.id)
    effect = remedy.effect if remedy else _effect(text, rule)
    free = {"cycles": 0, "kernel_bytes": 0}
    if effect == "replace":
        return (Cure(text, "compile", exact=True, **free),)  # type: ignore[arg-type] # by name
    if effect == "edit":
        return (Cure(text, "you", exact=True, **free),)  # type: ignore[arg-type] # by name
    return (Cure(text, accuracy=LITTLE),)


def _effect(text: str, rule: Rule) -> Effect:
    """Return what a text asks for: files are corrected, networks are trained."""
    trains = "train" in text or rule.level not in ("file", "network")
    return "train" if trains else "edit"


def name_of(op: Op) -> str:
    """Return the user's node that an op comes from, or its own name."""
    return op.loc.nodes[-1] if op.loc.nodes else op.name


ANYWAY: Final[Mapping[str, str]] = {
    "file": "correct the file, or export it again",
    "tool": "correct the text, the file or the option that is named",
    "NN012": "export with fixed limits and shapes, and constants folded (`onnxsim` folds them)",
    "NN013": "export the model again: no runtime takes the node as it is",
    "NN014": "cast to float in front of the node, or export the model in float",
    "NN015": "train a smaller network: the devices hold some hundred thousand values",
    "NN016": "export with the sizes of real data: every axis has at least one value",
    "NN019": "export the model again: the shape is damaged",
    "NN021": "export the model with the sizes of real data",
    "NN022": "export the model with an input of floats",
    "NN030": "export or copy the model again: the file is damaged",
    "NN031": "train again with a lower learning rate, from the last good checkpoint",
    "NN032": "train again with a lower learning rate, from the last good checkpoint",
    "NN033": "export the model with constants of floats or integers",
    "NN034": "put the data beside the model: `onnx.save_model(model, path)` writes one file",
    "NN040": "export the model again: the graph is not complete",
    "NN041": "export the model again: names of values must differ",
    "NN042": "unroll the loop: give the state as an input and an output",
    "NN044": "name the result as an output when exporting",
    "AX101": "export with a batch of 1: `torch.onnx.export(model, x[:1], ...)`",
    "Q020": "train again with a lower learning rate, from the last good checkpoint",
    "ai8x": "change the layer as the limit says, and train again",
    "network": "correct the option or the key that is named",
    "nn": "train and export the network without it, or compute it on the processor's core",
    "q": "train the network without it, or compute it on the processor's core",
}
"""What helps against errors that have no cure of their own, by rule or by level."""


# Costs


def _constant(shape: tuple[int, ...]) -> ai8x.Constant:
    return ai8x.Constant(Data(np.ones(shape, np.int8)))


def rows_of(device: Device, shape: tuple[int, int, int], *outputs: int) -> tuple[LayerRow, ...]:
    """Return the rows of a chain of 3x3 layers with padding 1 on data of a shape."""
    value: Op = Input(TensorType((1, *shape), "i8"), name="x")
    for count in outputs:
        weight = _constant((count, value.type.shape[1], 3, 3))
        value = ai8x.Conv2d(xs=(value,), weight=weight, pad=(1, 1))
    return layer_rows(make_graph("cure", "ai8x", [], [value]), device)


def _cost(rows: tuple[LayerRow, ...]) -> dict[str, int | None]:
    cycles = [row.cycles for row in rows]
    known = [count for count in cycles if count is not None]
    return {
        "cycles": sum(known) if len(known) == len(cycles) else None,
        "kernel_bytes": sum(row.kernel_bytes for row in rows),
    }


# By rule


def _small_windows(case: Case) -> Iterator[Cure]:
    """Layers of 3x3 for a large window."""
    op = case.subject
    if not isinstance(op, q.Conv) or op.x.type.shape[3] == 1:
        return
    _, channels, rows, columns = op.x.type.shape
    count, outputs = max(k // 2 for k in op.kernel), op.type.shape[1]
    made = rows_of(case.device, (channels, rows, columns), *[outputs] * count)
    yield Cure(
        f"{count} layers of 3x3 with padding 1 see the same {op.kernel[0]}x{op.kernel[1]} values",
        by="fix",
        accuracy=SAME,
        **_cost(made),  # type: ignore[arg-type] # by name
    )


def _form(text: str, accuracy: str) -> Cures:
    """Another form of the same op, which costs nothing."""

    def cures(case: Case) -> Iterator[Cure]:
        yield Cure(case.finding.help or text, "fix", cycles=0, kernel_bytes=0, accuracy=accuracy)

    return cures


def _padded_pool(case: Case) -> Iterator[Cure]:
    if "padding" in case.finding.message:
        text = "put the activation in front of the pool: zeros never win beside rectified values"
        yield Cure(text, "fix", exact=True, cycles=0, kernel_bytes=0)


def _no_integer_form(case: Case) -> Iterator[Cure]:
    op = case.subject
    free = {"cycles": 0, "kernel_bytes": 0}
    if isinstance(op, nn.LeakyRelu | nn.Sigmoid | nn.Tanh):
        text = "train with ReLU in its place: the layer in front rectifies at no cost"
        yield Cure(text, "fix", accuracy=LITTLE, **free)  # type: ignore[arg-type] # by name
    elif isinstance(op, nn.Softmax):
        text = "end the network in front of the softmax: the core computes it"
        yield Cure(text, "fix", exact=True, **free)  # type: ignore[arg-type] # by name
    elif isinstance(op, nn.AveragePool):
        text = "count the padding in the averages, or pool without padding"
        yield Cure(text, "fix", accuracy=SAME, **free)  # type: ignore[arg-type] # by name


def _unknown_operator(case: Case) -> Iterator[Cure]:
    found = re.search(r"operator `(\w+)`", case.finding.message)
    kind = found[1] if found else ""
    help = case.finding.help
    if kind in HOST:
        text = f"end the network in front of {kind}: the core computes it"
        yield Cure(text, "fix", exact=True, cycles=0, kernel_bytes=0)
    elif kind in RETRAIN:
        text = help or f"leave {kind} out"
        yield Cure(text, "fix", cycles=0, kernel_bytes=0, accuracy=LITTLE)


def _fewer_pixels(case: Case) -> Iterator[Cure]:
    """A tensor that is larger than a data memory: fold it, pool it, give it fewer channels."""
    layer = case.subject
    if isinstance(layer, ai8x.Layer):
        reads = case.finding.rule.id == "IN-MEM"
        yield from _smaller(layer.xs[0] if reads else layer, layer, case.device)


def _data_full(case: Case) -> Iterator[Cure]:
    """Tensors that do not fit together: what helps the largest of them."""
    layer = case.subject
    if isinstance(layer, ai8x.Layer):
        given = [x for x in layer.xs if isinstance(x, Input)]
        for tensor in (*given, layer):
            yield from _smaller(tensor, layer, case.device)


def _smaller(tensor: Op, layer: ai8x.Layer, device: Device) -> Iterator[Cure]:
    _, channels, rows, columns = tensor.type.shape
    limit = device.data_memory_bytes
    if isinstance(tensor, Input):
        yield from _folded(channels, rows, columns, device)
    used = _bytes(channels, rows, columns, device)
    if used <= limit:
        return
    for factor in (2, 4, 8):
        smaller = _bytes(channels, -(-rows // factor), -(-columns // factor), device)
        if smaller <= limit:
            size = f"{-(-rows // factor)}x{-(-columns // factor)}"
            name = name_of(layer)
            where = f"in `{name}` or before it" if tensor is layer else f"before `{name}`"
            text = f"pool by {factor} {where}: {size} takes {smaller} bytes"
            yield Cure(text, accuracy=SOME, data_bytes=smaller - used, kernel_bytes=0)
            break
    most = limit // (WORD * rows * columns) * device.processors
    if 0 < most < channels:
        text = f"give `{name_of(tensor)}` {most} channels instead of {channels}"
        saved = _bytes(most, rows, columns, device) - used
        yield Cure(text, accuracy=LITTLE, data_bytes=saved)


def _folded(channels: int, rows: int, columns: int, device: Device) -> Iterator[Cure]:
    if _bytes(channels, rows, columns, device) <= device.data_memory_bytes:
        return
    for side in (2, 4):
        folded = (channels * side * side, rows // side, columns // side)
        fits = _bytes(*folded, device) <= device.data_memory_bytes
        if rows % side == columns % side == 0 and fits:
            shown = " x ".join(map(str, folded))
            text = f"fold the input {side}x{side}: {shown} fits in HWC"
            yield Cure(
                text,
                accuracy=SAME,
                data_bytes=_bytes(*folded, device) - _bytes(channels, rows, columns, device),
            )
            return


def _bytes(channels: int, rows: int, columns: int, device: Device) -> int:
    """Return what a tensor takes of each data memory."""
    return WORD * rows * columns * -(-channels // device.processors)


def _fewer_inputs(case: Case) -> Iterator[Cure]:
    """Too many channels are read: the layer that writes them gets fewer."""
    layer = case.subject
    source = layer.xs[0] if isinstance(layer, ai8x.Layer) else None
    if isinstance(source, ai8x.Weighted):
        yield from _fewer_outputs(replace(case, subject=source))


def _fewer_outputs(case: Case) -> Iterator[Cure]:
    layer = case.subject
    if not isinstance(layer, ai8x.Weighted):
        return
    limit, outputs = case.device.max_channels, layer.type.shape[1]
    if case.finding.rule.id == "CHAN-BIAS":
        limit = case.device.bias_bytes_per_group
        text = f"train `{name_of(layer)}` without bias (a batch norm has one too)"
        yield Cure(text, cycles=0, kernel_bytes=0, accuracy=LITTLE)
    (row,) = layer_rows(make_graph("cure", "ai8x", [], [_alone(layer)]), case.device)
    share = limit / outputs
    if outputs > limit:
        text = f"give `{name_of(layer)}` {limit} output channels instead of {outputs}"
        saved = int(row.kernel_bytes * (1 - share))
        cycles = None if row.cycles is None else -int(row.cycles * (1 - share))
        yield Cure(text, cycles=cycles, kernel_bytes=-saved, accuracy=LITTLE)


def _alone(layer: ai8x.Weighted) -> ai8x.Weighted:
    """Return the layer on inputs of its own, without a place."""
    given = tuple(Input(x.type, name=f"x{i}") for i, x in enumerate(layer.xs))
    return replace(layer, xs=given, place=None)


def _pooled_first(case: Case) -> Iterator[Cure]:
    """A matrix on too many values: pool in front of it."""
    layer, device = case.subject, case.device
    if not isinstance(layer, ai8x.Linear):
        return
    channels, rows, columns = layer.pooled_shape
    for factor in (2, 4, 8):
        pixels = -(-rows // factor) * -(-columns // factor)
        fits = pixels <= device.max_flatten_pixels
        if fits and channels * pixels <= device.max_flatten_inputs:
            saved = (prod((channels, rows, columns)) - channels * pixels) * layer.type.shape[1]
            text = f"pool by {factor} in front of `{name_of(layer)}`"
            yield Cure(text, kernel_bytes=-saved, accuracy=SOME)
            return


CURES: Final[Mapping[str, Cures]] = {
    "AX102": _small_windows,
    "AX106": _form("use the kernel without dilation", LITTLE),
    "AX107": _form("use a 3x3 kernel with stride 2, padding 1 and output padding 1", SAME),
    "AX108": _padded_pool,
    "AX120": _data_full,
    "NN010": _unknown_operator,
    "Q010": _no_integer_form,
    "IN-MEM": _fewer_pixels,
    "OUT-MEM": _fewer_pixels,
    "CHAN-IN": _fewer_inputs,
    "CHAN-OUT": _fewer_outputs,
    "CHAN-BIAS": _fewer_outputs,
    "FLAT-HW": _pooled_first,
    "FLAT-SIZE": _pooled_first,
}
"""What helps, by rule; errors of other rules have the cure of their text."""
