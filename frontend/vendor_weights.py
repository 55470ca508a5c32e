"""The weights of the layers of a network: assigned in order, narrowed, in the layer's shape.

Source: hardware semantics, section 3.7; memory layout reference, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ai8xc.dialects import ai8x
from ai8xc.frontend import vendor_rules as rules
from ai8xc.frontend.vendor_description import Description
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_parameters import (
    ParameterFile,
    Parameters,
    narrowed,
    read_parameters,
)
from ai8xc.frontend.vendor_sequence import Step
from ai8xc.ir.core import Data
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array, Element
from ai8xc.rules.description import of_document, of_operators, of_sequence

ELEMENTS: Final[Mapping[int, Element]] = {8: "i8", 4: "i4", 2: "i2", 1: "i1", -1: "bin"}
_RANKS: Final = {"conv2d": 4, "conv1d": 3, "convtranspose2d": 4, "linear": 2}
_DEFAULT_KERNEL: Final[Mapping[str, tuple[int, ...]]] = {
    "conv2d": (3, 3),
    "convtranspose2d": (3, 3),
    "conv1d": (9,),
    "linear": (),
}


@dataclass(frozen=True)
class LayerWeights:
    """Weights as the layer holds them: outputs x inputs/groups x kernel, in `bits` bits."""

    name: str
    array: Array
    bits: int
    bias: Array | None = None
    output_shift: int | None = None
    in_channels: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return where the channels come from, for messages about their number."""
        shape = "x".join(map(str, self.array.shape))
        return (f"the channels are those of its weights `{self.name}`, {shape}",)

    def fields(self, loc: Loc) -> dict[str, Any]:
        """Return the operands of the layer."""
        weight = ai8x.Constant(
            Data(self.array.astype(np.int8)), ELEMENTS[self.bits], name=self.name, loc=loc
        )
        if self.bias is None:
            return {"weight": weight}
        return {"weight": weight, "bias": ai8x.Constant(Data(self.bias.astype(np.int8)), loc=loc)}


@dataclass
class Assignment:
    """The weights of all layers by number, and what is wrong with them."""

    layers: dict[int, LayerWeights]
    findings: list[Diagnostic]


def assign(description: Description, steps: Sequence[Step], options: NetworkOptions) -> Assignment:
    """Return the weights of the layers that have some; raises `Rejected` for unusable files."""
    wanting = [step for step in steps if step.has_weights]
    if options.weights is None:
        if not wanting:
            return Assignment({}, [])
        loc = description.loc(wanting[0].place, node=wanting[0].name)
        raise Rejected([of_document.NET_CKPT.at(loc, arch=description.network.arch)], unusable=True)
    file = read_parameters(options.weights, options.bias, options.skip)
    findings = [*file.findings, *_mismatch(description, file, wanting)]
    taker = _Taker(description, options, findings)
    made = {
        step.index: taker.take(step, parameters)
        for step, parameters in zip(wanting, file.layers, strict=False)
    }
    taken = {index: weights for index, weights in made.items() if weights is not None}
    for step in steps:
        source = taken.get(step.weight_source) if step.weight_source is not None else None
        if source is not None:
            taken[step.index] = source
    return Assignment(taken, findings)


def _mismatch(
    description: Description, file: ParameterFile, wanting: Sequence[Step]
) -> list[Diagnostic]:
    """Return findings about the whole file: another network, too few or too many weights."""
    loc = Loc(file.source)
    found = []
    arch = description.network.arch
    if file.arch is not None and file.arch.lower() != arch.lower():
        place = description.document.loc(("arch",))
        found.append(of_document.NET_ARCH.at(place, found=file.arch, arch=arch))
    count = len(file.layers)
    if count != len(wanting) and not description.broken:
        surplus = [f"`{layer.name}` is not used" for layer in file.layers[len(wanting) :]]
        missing = [f"`{step.name}` has no weights" for step in wanting[count:]]
        place = description.loc(wanting[count].place) if missing else loc
        values = {"wanted": len(wanting), "count": count}
        rule = rules.WEIGHTS_LEFT if surplus and file.shared else of_document.NET_WCOUNT
        help = "`--skip-weights NAMES` leaves entries out on purpose" if surplus else None
        notes = [*surplus, *missing]
        found.append(rules.tell(rule, place, values, notes, help))
    return found


class _Taker:
    """Gives layers their weights."""

    def __init__(
        self, description: Description, options: NetworkOptions, findings: list[Diagnostic]
    ) -> None:
        self.description = description
        self.options = options
        self.findings = findings

    def take(self, step: Step, parameters: Parameters) -> LayerWeights | None:
        """Return the weights of a layer; None where they do not fit."""
        transposed = step.operator == "convtranspose2d"
        weight = parameters.weight
        if transposed and parameters.framework and weight.ndim == 4:
            weight = np.ascontiguousarray(weight[:, :, ::-1, ::-1].swapaxes(0, 1))
        shaped = self.shaped(step, parameters.name, weight)
        if shaped is None:
            return None
        bits = self.bits(step, parameters)
        values = narrowed(shaped, bits) if parameters.raw else shaped
        self.check_range(step, parameters.name, values)
        bias = self.bias(step, parameters, len(shaped))
        groups = step.layer.groups
        inputs = shaped.shape[1] * (groups if step.operator != "linear" else 1)
        return LayerWeights(
            parameters.name, np.clip(values, -128, 127), bits, bias, parameters.output_shift, inputs
        )

    def shaped(self, step: Step, name: str, weight: Array) -> Array | None:
        """Return the weights in the shape of the layer's operator, after comparing the kernel."""
        loc = self.description.loc(step.place, "kernel_size", node=step.name)
        wanted = step.layer.kernel_size or _DEFAULT_KERNEL[step.operator]
        dims = "x".join(map(str, weight.shape))
        if weight.ndim < 2 or 0 in weight.shape:
            why = "there must be outputs and inputs"
            self.findings.append(rules.WEIGHT_SHAPE.at(loc, name=name, weights=dims, why=why))
            return None
        kernel = weight.shape[2:]
        ones = max(1, len(wanted)) if step.operator != "linear" else len(kernel)
        if not kernel or step.operator == "linear":
            same = (kernel or (1,) * ones) == ((1,) * ones if step.operator == "linear" else wanted)
        else:
            same = kernel == wanted
        if not same:
            spelt = "x".join(map(str, wanted)) or "1x1"
            have = "x".join(map(str, kernel)) or "1x1"
            values = {"layer": step.name, "kernel": spelt, "given": have}
            self.findings.append(rules.tell(of_operators.KERNEL_WEIGHTS, loc, values))
            return None
        groups = step.layer.groups
        if step.operator == "linear" or step.layer.flatten:
            return weight.reshape(weight.shape[0], -1)
        if step.operator == "convtranspose2d" and groups > 1:
            outputs, inputs = weight.shape[0] * groups, weight.shape[1]
            if inputs % groups:
                why = f"{inputs} inputs in {groups} groups"
                self.findings.append(rules.WEIGHT_SHAPE.at(loc, name=name, weights=dims, why=why))
                return None
            return weight.reshape(outputs, inputs // groups, *wanted)
        return weight.reshape(*weight.shape[:2], *wanted)

    def bits(self, step: Step, parameters: Parameters) -> int:
        """Return the width of the weights, -1 for binary ones."""
        if step.layer.quantization is not None:
            return step.layer.quantization
        if parameters.raw:
            return 8
        device = self.options.device
        if device and device.has("binary-weights") and (np.abs(parameters.weight) == 1).all():
            return -1
        if not parameters.weight.any():
            return 1
        return parameters.bits or 8

    def check_range(self, step: Step, name: str, values: Array) -> None:
        """Weights that 8 bits cannot hold; narrower ones are compared on the hardware level."""
        wrong = values[(values < -128) | (values > 127)]
        if wrong.size:
            loc = self.description.loc(step.place, node=step.name)
            value = int(wrong.ravel()[0])
            self.findings.append(rules.WEIGHT_RANGE.at(loc, name=name, value=value))

    def bias(self, step: Step, parameters: Parameters, outputs: int) -> Array | None:
        index = step.index - self.options.skip_layers
        if parameters.bias is None or self.options.without_bias(index):
            return None
        bias = parameters.bias.reshape(-1)
        if len(bias) != outputs:
            loc = self.description.loc(step.place, node=step.name)
            values = {"layer": step.name, "count": len(bias), "outputs": outputs}
            finding = rules.tell(of_sequence.BIAS_LEN, loc, values)
            self.findings.append(finding)
            return None
        return np.clip(bias, -128, 127)
