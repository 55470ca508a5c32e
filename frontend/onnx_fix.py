"""Mechanical cures for ONNX models: the model is changed so that the compiler can take it.

Exact ones keep every output. `host` ones take off what the processor's core computes behind the
network. All others change what the network computes, so that it must be trained again: they keep
its shapes, and weights where there are weights to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ai8xc.frontend.onnx_edit import Editor, attribute, integers, set_attribute
from ai8xc.frontend.onnx_file import read_model

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import NodeProto

    from ai8xc.ir.diag import Diagnostic
    from ai8xc.ir.types import Array

Effect = Literal["exact", "host", "retrain"]


@dataclass(frozen=True)
class Fix:
    """A change that was made: to which node, what, and whether the network must be retrained."""

    node: str
    what: str
    effect: Effect


Cure = Callable[[Editor, "NodeProto"], str | None]
"""Changes a node in place and returns what was done; None where it does not apply."""


def fix_onnx(path: Path, findings: Iterable[Diagnostic]) -> tuple[bytes, list[Fix]]:
    """Return the model with all cures applied, and what was done.

    Exact cures are applied wherever they fit, others to the nodes that an error is about. Raises
    `Rejected` where the file cannot be read.
    """
    edit = Editor(read_model(path), path)
    wrong: dict[str, set[str]] = {}
    for finding in findings:
        for node in finding.loc.nodes if finding.severity == "error" else ():
            wrong.setdefault(node, set()).add(finding.rule.id)
    done = [*_apply(edit, EXACT, "exact", None), *_apply(edit, HOST, "host", None)]
    done += _apply(edit, RETRAIN, "retrain", wrong)
    edit.remove_dead()
    edit.inline_external()
    return edit.model.SerializeToString(deterministic=True), done


def _apply(
    edit: Editor, cures: Mapping[str, Cure], effect: Effect, wrong: Mapping[str, set[str]] | None
) -> Iterator[Fix]:
    for node in edit.nodes:
        cure = cures.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        label = edit.label(node)
        if cure is None:
            continue
        if wrong is not None and wrong.get(label, set()).isdisjoint(_cured(node.op_type)):
            continue
        what = cure(edit, node)
        if what:
            yield Fix(label, what, effect)


def _cured(kind: str) -> frozenset[str]:
    """Return the rules that the cure for a kind of node is for."""
    return FORMS.get(kind, NO_LAYER)


NO_LAYER: Final = frozenset({"NN010", "NN011", "Q010", "Q018"})
FORMS: Final[Mapping[str, frozenset[str]]] = {
    "Conv": frozenset({"AX102", "AX106"}),
    "ConvTranspose": frozenset({"AX107"}),
}
"""Rules about ops that no layer computes, and about forms of those that layers do."""


# Exact


def _drop_dropout(edit: Editor, node: NodeProto) -> str | None:
    """Dropout does nothing when a network is used."""
    if any(edit.readers(name) for name in node.output[1:]):
        return None
    if node.output[0] in edit.outputs and edit.producer(node.input[0]) is None:
        return None
    edit.drop(node)
    return "dropout removed"


def _fold_batch_norm(edit: Editor, node: NodeProto) -> str | None:
    """A batch norm behind a convolution is a factor of its weights and a bias."""
    layer = edit.producer(node.input[0])
    if layer is None or layer.op_type != "Conv" or edit.only_reader(node.input[0]) is not node:
        return None
    if len([name for name in node.output if name]) > 1:
        return None
    weight = edit.constant(layer.input[1])
    bias = edit.constant(layer.input[2]) if len(layer.input) > 2 else np.zeros(1, np.float32)
    found = [edit.constant(name) for name in node.input[1:5]]
    if weight is None or bias is None or len(found) < 4:
        return None
    scale, shift, mean, variance = (
        np.zeros(0) if value is None else value.astype(np.float64) for value in found
    )
    if not all(part.size == weight.shape[0] for part in (scale, shift, mean, variance)):
        return None
    epsilon = float(attribute(node, "epsilon", 1e-5))  # type: ignore[arg-type] # a number
    factor = scale / np.sqrt(variance + epsilon)
    taps = (1,) * (weight.ndim - 1)
    new_weight = (weight * factor.reshape(-1, *taps)).astype(np.float32)
    new_bias = ((bias - mean) * factor + shift).astype(np.float32)
    if not (np.isfinite(new_weight).all() and np.isfinite(new_bias).all()):
        return None
    name = edit.label(layer)
    inputs = [layer.input[0], edit.add_constant(f"{name}.weight", new_weight)]
    layer.input[:] = [*inputs, edit.add_constant(f"{name}.bias", new_bias)]
    edit.drop(node)
    return f"batch norm folded into `{name}`"


def _relu_of_max(edit: Editor, node: NodeProto) -> str | None:
    """max(x, 0) is a rectifier."""
    values = [edit.constant(name) for name in node.input]
    if len(values) != 2 or (values[0] is None) == (values[1] is None):
        return None
    index = 0 if values[0] is not None else 1
    limit = values[index]
    if limit is None or limit.size != 1 or limit.reshape(-1)[0] != 0:
        return None
    kept = node.input[1 - index]
    node.op_type = "Relu"
    node.input[:] = [kept]
    return "maximum with 0 is Relu"


def _relu_before_pool(edit: Editor, node: NodeProto) -> str | None:
    """relu(max_pool(x)) = max_pool(relu(x)): padding with zeros never wins beside such values."""
    pool = edit.producer(node.input[0])
    if pool is None or pool.op_type != "MaxPool" or edit.only_reader(node.input[0]) is not node:
        return None
    if not any(integers(pool, "pads", 1, 0)) or len(pool.output) > 1:
        return None
    before, between, behind = pool.input[0], pool.output[0], node.output[0]
    pool.output[0] = behind
    node.input[0], node.output[0] = before, between
    pool.input[0] = between
    edit.graph.node.remove(node)
    edit.insert_before(pool, [node])
    return "activation put in front of the pool"


# Left to the core


def _drop_last(edit: Editor, node: NodeProto) -> str | None:
    """What turns scores into probabilities is computed behind the network."""
    last = node
    while last.output[0] not in edit.outputs:
        reader = edit.only_reader(last.output[0])
        if reader is None or reader.op_type not in ("Reshape", "Flatten", "Identity", "Squeeze"):
            return None
        last = reader
    if edit.producer(node.input[0]) is None:
        return None
    kind = node.op_type
    edit.drop(node)
    return f"{kind} at the end removed"


# To be retrained


def _relu(edit: Editor, node: NodeProto) -> str | None:
    """A rectifier in the place of another activation."""
    kind = node.op_type
    source = node.input[0]
    gate = _gated(edit, node)
    if gate is not None:
        source, kind = gate
    elif kind == "Mul":
        return None
    node.op_type = "Relu"
    node.input[:] = [source]
    del node.attribute[:]
    return f"Relu in the place of {kind}"


def _gated(edit: Editor, node: NodeProto) -> tuple[str, str] | None:
    """Return x and the name of the activation where a node is x * sigmoid(x) or the like."""
    if node.op_type != "Mul" or len(node.input) != 2:
        return None
    for x, gate in (tuple(node.input), tuple(node.input)[::-1]):
        made = edit.producer(gate)
        if made is not None and made.op_type in GATES and made.input[0] == x:
            return x, GATES[made.op_type]
    return None


def _gate(edit: Editor, node: NodeProto) -> str | None:
    """A gate times its input is one activation, and replaced as one."""
    reader = edit.only_reader(node.output[0])
    if reader is not None and _gated(edit, reader) is not None:
        return _relu(edit, reader)
    return _relu(edit, node)


GATES: Final = {"Sigmoid": "SiLU", "HardSigmoid": "HardSwish"}


def _drop_norm(edit: Editor, node: NodeProto) -> str | None:
    """Normalisation over neighbours is left out."""
    kind = node.op_type
    if node.output[0] in edit.outputs:
        return None
    edit.drop(node)
    return f"{kind} left out"


def _narrow(edit: Editor, node: NodeProto) -> str | None:
    """A convolution without dilation, or several small ones in the place of a large one."""
    weight = edit.constant(node.input[1])
    if weight is None or weight.ndim != 4:
        return None
    dilations = integers(node, "dilations", 2, 1)
    if max(dilations) > 1:
        return _undilated(node, weight, dilations)
    rows, columns = weight.shape[2:]
    if rows != columns or rows % 2 == 0 or rows <= 3 or attribute(node, "group", 1) != 1:
        return None
    return _stacked(edit, node, weight)


def _undilated(node: NodeProto, weight: Array, dilations: list[int]) -> str | None:
    pads = integers(node, "pads", 4, 0)
    lost = [(d - 1) * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
    if any(n % 2 for n in lost):
        return None
    less = [n // 2 for n in lost] * 2
    if any(pad < n for pad, n in zip(pads, less, strict=True)):
        return None
    set_attribute(node, "dilations", None)
    set_attribute(node, "pads", [pad - n for pad, n in zip(pads, less, strict=True)])
    return "dilation left out"


def _stacked(edit: Editor, node: NodeProto, weight: Array) -> str | None:
    """Layers of 3x3 with rectifiers between see the same values; new weights are random."""
    from onnx import helper

    outputs, inputs, size, _ = weight.shape
    count, pads = (size - 1) // 2, integers(node, "pads", 4, 0)
    if len(set(pads)) != 1 or pads[0] > count or attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        return None
    strides, label = integers(node, "strides", 2, 1), edit.label(node)
    random = np.random.default_rng(size)  # the same file each time
    value, made = node.input[0], []
    for step in range(count - 1):
        channels = inputs if step == 0 else outputs
        spread = np.sqrt(2 / (9 * channels))
        array = random.normal(0, spread, (outputs, channels, 3, 3)).astype(np.float32)
        pad = int(step < pads[0])
        convolved, active = edit.free(f"{label}.{step}"), edit.free(f"{label}.{step}.relu")
        weights = edit.add_constant(f"{label}.{step}.weight", array)
        made += [
            helper.make_node("Conv", [value, weights], [convolved], name=convolved, pads=[pad] * 4),
            helper.make_node("Relu", [convolved], [active], name=active),
        ]
        value = active
    middle = (size - 3) // 2
    channels = inputs if count == 1 else outputs
    last = weight[:, :, middle : middle + 3, middle : middle + 3]
    if channels != inputs:
        last = random.normal(0, np.sqrt(2 / (9 * channels)), (outputs, channels, 3, 3))
    rest = [value, edit.add_constant(f"{label}.weight", last.astype(np.float32)), *node.input[2:]]
    node.input[:] = rest
    for name, new in (("kernel_shape", [3, 3]), ("pads", [int(count <= pads[0])] * 4)):
        set_attribute(node, name, new)
    set_attribute(node, "strides", strides)
    edit.insert_before(node, made)
    return f"{count} layers of 3x3 in the place of {size}x{size}"


def _transposed(edit: Editor, node: NodeProto) -> str | None:
    """4x4, stride 2, padding 1 => 3x3 with output padding 1: the same size."""
    weight = edit.constant(node.input[1])
    strides, pads = integers(node, "strides", 2, 1), integers(node, "pads", 4, 0)
    if weight is None or weight.shape[2:] != (4, 4) or strides != [2, 2] or pads != [1] * 4:
        return None
    if any(integers(node, "output_padding", 2, 0)):
        return None
    inner = weight[:, :, 1:, 1:]
    node.input[1] = edit.add_constant(f"{edit.label(node)}.weight", inner)
    set_attribute(node, "kernel_shape", [3, 3])
    set_attribute(node, "output_padding", [1, 1])
    return "3x3 with output padding 1 in the place of 4x4"


def _whole_average(edit: Editor, node: NodeProto) -> str | None:
    """An average divides by all values of its window, those of the padding too."""
    if not any(integers(node, "pads", 1, 0)) or attribute(node, "count_include_pad", 0):
        return None
    set_attribute(node, "count_include_pad", 1)
    return "averages include the padding"


def _nearest(edit: Editor, node: NodeProto) -> str | None:
    """Nearest neighbours in the place of interpolation."""
    if attribute(node, "mode", "nearest") == "nearest":
        return None
    for name in ("cubic_coeff_a", "exclude_outside", "antialias", "extrapolation_value"):
        set_attribute(node, name, None)
    set_attribute(node, "mode", "nearest")
    set_attribute(node, "coordinate_transformation_mode", "asymmetric")
    set_attribute(node, "nearest_mode", "floor")
    return "nearest neighbours in the place of interpolation"


EXACT: Final[Mapping[str, Cure]] = {
    "Dropout": _drop_dropout,
    "BatchNormalization": _fold_batch_norm,
    "Max": _relu_of_max,
    "Relu": _relu_before_pool,
}
HOST: Final[Mapping[str, Cure]] = dict.fromkeys(
    ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "Hardmax"), _drop_last
)
_ACTIVATIONS: Final = (
    *("Celu", "Elu", "Gelu", "HardSwish", "LeakyRelu", "Mish", "PRelu", "Selu", "Softplus"),
    *("Softsign", "Swish", "Tanh", "ThresholdedRelu", "Erf"),
)
RETRAIN: Final[Mapping[str, Cure]] = {
    **dict.fromkeys(_ACTIVATIONS, _relu),
    "Sigmoid": _gate,
    "HardSigmoid": _gate,
    "Mul": _relu,
    "LRN": _drop_norm,
    "LpNormalization": _drop_norm,
    "MeanVarianceNormalization": _drop_norm,
    "Conv": _narrow,
    "ConvTranspose": _transposed,
    "AveragePool": _whole_average,
    "Resize": _nearest,
}
