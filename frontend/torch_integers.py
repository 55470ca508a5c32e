"""Exported networks of `ai8xc.training.layers` that hold integers, to the `q` level, bit for bit.

The operations of one call of a layer stand together in the program; its state says what it holds:
the names are those of the vendor's checkpoints (training facts, section 1.6). What lies between
the layers may move values, but not change them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ai8xc.dialects import nn, q
from ai8xc.frontend.names import shown
from ai8xc.frontend.pt2_file import Argument, Call, ModuleCall, Program, Ref
from ai8xc.frontend.rules import INPUT_TYPE, LAYER_FORM, LAYER_MODE, UNSUPPORTED
from ai8xc.frontend.torch_layers import average_pool as float_average_pool
from ai8xc.frontend.torch_layers import conv, conv_transpose, max_pool
from ai8xc.frontend.torch_model import Importer, references
from ai8xc.frontend.torch_node import Node
from ai8xc.frontend.torch_ops import CONVERTERS, VIEWS
from ai8xc.ir.core import Data, Input, Op
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import Array, Element, TensorType
from ai8xc.numerics import BIAS_UNIT, Activation

STEP: Final = 1 / 128
"""Real value of one integer step of every tensor between these layers."""

WIDE_MINIMUM: Final = -(2**29)
"""Smallest value of a wide output: how the clamp at the end of such a layer tells it apart."""

_JOINS: Final = (
    "aten.cat.default",
    "aten.concat.default",
    "aten.stack.default",
    "aten.pad.default",
)
_MOVES: Final = {op: made for op, made in CONVERTERS.items() if op in VIEWS or op in _JOINS}
"""Operations that may stand between layers."""

_SAME: Final[Mapping[type[Op], Callable[..., Op]]] = {
    nn.Reshape: q.Reshape,
    nn.Slice: q.Slice,
    nn.Transpose: q.Transpose,
}
_ELEMENTWISE: Final = "ai8xc.training.layers.elementwise."
_COMBINATIONS: Final[Mapping[str, type[Op]]] = {
    "Add": q.Add,
    "BitwiseOr": q.BitwiseOr,
    "BitwiseXor": q.BitwiseXor,
    "Sub": q.Sub,
}
_ELEMENTS: Final[Mapping[int, Element]] = {1: "i1", 2: "i2", 4: "i4", 8: "i8"}
_POOLS: Final = ("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d")
_OPERATORS: Final = ("conv1d", "conv2d", "conv_transpose2d", "linear")
_REST: Final = (
    *("_to_copy", "abs", "add", "bitwise_or", "bitwise_xor", "clamp", "clone", "div", "floor"),
    *("full", "ldexp", "lift_fresh_copy", "mul", "ones_like", "relu", "round", "stack", "sub"),
    *("to", "trunc", "detach", "detach_", "alias"),
)
_ACTIVATIONS: Final[Mapping[str, Activation]] = {"relu": "relu", "abs": "abs"}


@dataclass(frozen=True)
class Layer:
    """The operations of one call of a layer; `path` is the layer's, `kind` its class."""

    path: str
    kind: str
    calls: tuple[Call, ...]

    def named(self, names: Sequence[str]) -> list[Call]:
        """Return the operations of some kinds."""
        return [call for call in self.calls if _base(call) in names]


def _base(call: Call) -> str:
    return call.op.split(".")[1] if call.op.startswith("aten.") else call.op


def has_integers(program: Program) -> bool:
    """Whether any layer of a program holds integers."""
    states = _States(program)
    return any(states.mode(path) == "simulate" for path in states.paths)


class _States:
    """The state of the layers in a program, by path."""

    def __init__(self, program: Program) -> None:
        self.arrays = {path: program.constants[name] for name, path in program.paths.items()}
        controls = ("output_shift", "weight_bits", "quantize_activation", "adjust_output_shift")
        ends = [path.removesuffix(f".{controls[0]}") for path in self.arrays]
        ends += [""] if controls[0] in self.arrays else []
        self.paths = {
            path for path in ends if all(self.get(path, name) is not None for name in controls)
        }

    def get(self, path: str, name: str) -> Array | None:
        """Return a part of the state of a layer."""
        return self.arrays.get(f"{path}.{name}" if path else name)

    def number(self, path: str, name: str) -> int:
        """Return a part of the state that is one integer."""
        array = self.get(path, name)
        if array is None or array.size != 1 or float(array.reshape(-1)[0]) % 1:
            raise _malformed(path, f"`{name}` is no integer")
        return int(array.reshape(-1)[0])

    def mode(self, path: str) -> str:
        """Return the mode of a layer."""
        if not self.number(path, "quantize_activation"):
            return "float"
        return "qat" if self.number(path, "adjust_output_shift") else "simulate"


def _malformed(path: str, why: str) -> Rejected:
    return Rejected([LAYER_FORM.at(Loc("", (shown(path),)), name=shown(path), why=why)])


class IntegerImporter(Importer):
    """The walk over a program whose layers hold integers."""

    level = "q"
    converters = _MOVES

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.states = _States(program)

    def unknown(self, call: Call, loc: Loc) -> Diagnostic:
        """Return the finding for an operation that computes something outside of a layer."""
        help = "use a layer of `ai8xc.training.layers`, or compute it behind the network"
        return UNSUPPORTED.at(
            loc, op=shown(call.op), what="integers, outside of a layer", help=help
        )

    def input_type(self, shape: tuple[int, ...], element: Element) -> TensorType:
        """Return the type of an input: what the device reads."""
        if element != "f32":
            self.say(INPUT_TYPE, name="input", what=f"of {element}, in a network of layers")
        return TensorType(shape, "i8", STEP)

    def convert_all(self, calls: Sequence[Call], read: set[str]) -> None:
        """Convert layers as a whole, and what lies between them one by one."""
        for item in self.items(calls):
            if isinstance(item, Call):
                self.convert(item, read)
                continue
            loc = Loc(self.program.source, (shown(item.path),))
            self.values.update((name, None) for call in item.calls for name in call.results if name)
            if any(self.values.get(name, 0) is None for name in self.outside(item)):
                continue
            try:
                made = self.layer(item)
                result = item.calls[-1].results[0] or ""
                inner = {name for call in item.calls for name in call.results if name} - {result}
                around = (call for call in calls if call not in item.calls)
                if inner & {name for call in around for name in references(call)}:
                    raise _malformed(item.path, "something inside it is read elsewhere")
                self.values[result] = self.builder.adopt(made, item.path or "layer", loc)
            except Rejected as rejected:
                self.findings.extend(rejected.diagnostics)

    def items(self, calls: Sequence[Call]) -> Iterator[Call | Layer]:
        """Yield layers, and the operations between them."""
        whole = ModuleCall("", "", "")
        found: dict[ModuleCall, list[Call]] = {}
        order: list[Call | ModuleCall] = []
        for call in calls:
            around = next((m for m in call.modules if self.is_layer(m.path, m.kind)), None)
            if around is None and "" not in self.states.paths:
                order.append(call)
                continue
            layer = around or whole
            if layer not in found:
                order.append(layer)
            found.setdefault(layer, []).append(call)
        for item in order:
            if isinstance(item, Call):
                yield item
            else:
                yield Layer(item.path, item.kind, tuple(found[item]))

    def is_layer(self, path: str, kind: str) -> bool:
        """Whether a module is a layer, by its state or its class."""
        return path in self.states.paths or kind.startswith(_ELEMENTWISE)

    def lowered(self, made: Op, node: Node) -> Op:
        """Return a float op that moves values as the integer op that does the same."""
        if made.name:
            return made
        operands = {operand: self.lowered(operand, node) for operand in made.operands}
        fields: dict[str, Any] = made.with_operands(operands).attributes()
        xs = tuple(operands[operand] for operand in made.operands)
        match made:
            case nn.Identity():
                return xs[0]
            case nn.Concat():
                return q.Concat(xs, **fields)
            case nn.Reshape() | nn.Transpose() | nn.Slice():
                return _SAME[type(made)](*xs, **fields)
            case nn.Pad(value=0, mode="constant"):
                return q.Pad(xs[0], made.pads)
        raise node.unsupported("integers, outside of a layer")

    # Layers

    def outside(self, layer: Layer) -> list[str]:
        """Return what a layer reads that is no constant and not made inside, in order."""
        inner = {name for call in layer.calls for name in call.results if name}
        names = [name for call in layer.calls for name in references(call)]
        return [n for n in names if n not in inner and n not in self.program.constants]

    def layer(self, layer: Layer) -> Op:
        """Return the op of a layer."""
        operands = [op for op in map(self.value, self.outside(layer)) if op is not None]
        mode = self.states.mode(layer.path) if layer.path in self.states.paths else "simulate"
        if mode != "simulate":
            finding = LAYER_MODE.at(self.loc, name=shown(layer.path), mode=mode)
            raise Rejected([finding])
        strange = {_base(call) for call in layer.calls} - {*_POOLS, *_OPERATORS, *_REST}
        if strange or not operands:
            what = ", ".join(f"`{name}`" for name in sorted(strange)) or "no operand"
            raise _malformed(layer.path, f"it has {what}")
        if layer.kind.startswith(_ELEMENTWISE):
            combine: Callable[..., Op] | None = _COMBINATIONS.get(layer.kind.rpartition(".")[2])
            if combine is None:
                raise _malformed(layer.path, f"`{layer.kind}` is not known")
            return combine(tuple(operands)) if len(operands) > 1 else operands[0]
        pools, operators = layer.named(_POOLS), layer.named(_OPERATORS)
        if len(set(operands)) != 1 or len(pools) > 1 or len(operators) > 1:
            raise _malformed(layer.path, "it has several operands, pools or operators")
        x = operands[0]
        for pool in pools:
            x = self.pooled(layer, pool, x)
        for operator in operators:
            x = self.operated(layer, operator, x)
        return x

    def node(self, call: Call, operands: Mapping[str, Op]) -> Node:
        """Return an operation with other operands."""
        loc = Loc(self.program.source, (shown(call.module),))
        given: dict[str, Argument | Op] = {
            key: value for key, value in call.arguments.items() if not isinstance(value, Ref)
        }
        return Node(call.op, loc, {}, {**given, **operands}, (True,))

    def pooled(self, layer: Layer, call: Call, x: Op) -> Op:
        """Return the pool of a layer."""
        like = _real(x)
        if _base(call).startswith("max"):
            found = max_pool(self.node(call, {"self": like}))
            assert isinstance(found, nn.MaxPool)
            return q.MaxPool(x, found.kernel, found.strides, found.pads, found.dilations)
        mean = float_average_pool(self.node(call, {"self": like}))
        assert isinstance(mean, nn.AveragePool)
        rounding = bool(layer.named(("round",)))
        return q.AveragePool(x, mean.kernel, mean.strides, mean.pads, (), rounding)

    def operated(self, layer: Layer, call: Call, x: Op) -> Op:
        """Return the operator of a layer with its integers."""
        weight, bias = self.parameters(layer.path)
        acts = [_ACTIVATIONS[_base(found)] for found in layer.named(tuple(_ACTIVATIONS))]
        clamp = layer.named(("clamp",))[-1:]
        wide = bool(clamp) and clamp[0].arguments.get("min") == WIDE_MINIMUM
        shift = 0 if wide else self.states.number(layer.path, "output_shift")
        given: dict[str, Any] = {
            "output_shift": shift,
            "activation": acts[-1] if acts else "none",
            "wide": wide,
        }
        if _base(call) == "linear":
            return q.Linear(x, weight, bias, **given)
        like = self.node(call, {"input": _real(x), "weight": _real(weight)})
        if _base(call).startswith("conv_transpose"):
            t = conv_transpose(like)
            assert isinstance(t, nn.ConvTranspose)
            window = (t.strides, t.pads, t.dilations, t.output_padding, t.groups)
            return q.ConvTranspose(x, weight, bias, *window, **given)
        c = conv(like)
        assert isinstance(c, nn.Conv)
        return q.Conv(x, weight, bias, c.strides, c.pads, c.dilations, c.groups, **given)

    def parameters(self, path: str) -> tuple[Op, Op | None]:
        """Return weight and bias of a layer; the bias without the factor that it is stored with."""
        bits = self.states.number(path, "weight_bits")
        weight, bias = self.states.get(path, "op.weight"), self.states.get(path, "op.bias")
        if bits not in _ELEMENTS or weight is None:
            raise _malformed(
                path, f"it has {bits}-bit weights" if weight is not None else "no weights"
            )
        shift = self.states.number(path, "output_shift")
        scale = 2.0 ** (shift + 1 - bits)
        made = q.Constant(_integers(path, weight), _ELEMENTS[bits], scale)
        if bias is None:
            return self.kept(made, path, "op.weight"), None
        plain = bias.astype(np.float64) / (BIAS_UNIT * 2.0 ** (bits - 8))
        offset = q.Constant(_integers(path, plain), "i8", scale * STEP * BIAS_UNIT)
        return self.kept(made, path, "op.weight"), self.kept(offset, path, "op.bias")

    def kept(self, made: Op, path: str, name: str) -> Op:
        """Return a constant under its name; a layer that is called again has it once."""
        key = f"{path}.{name}" if path else name
        known = self.values.get(f"state {key}")
        if known is None:
            known = self.builder.adopt(made, key, Loc(self.program.source, (shown(path),)))
            self.values[f"state {key}"] = known
        return known


def _integers(path: str, values: Array) -> Data:
    """Return whole numbers of 8 bits; others are refused."""
    whole = np.rint(values)
    if not np.array_equal(whole, values) or np.abs(whole).max(initial=0) > 128:
        raise _malformed(path, "its parameters are not integers of 8 bits")
    if whole.max(initial=0) > 127:
        raise _malformed(path, "its parameters are not integers of 8 bits")
    return Data(whole.astype(np.int8))


def _real(op: Op) -> Op:
    """Return a stand-in of the same shape for the float converters, which read geometry only."""
    return Input(TensorType(op.type.shape))
