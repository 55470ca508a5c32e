"""ONNX files to graphs of the `nn` level.

Inputs are channels first; where the user's model has them otherwise, `input_layouts` says so.
The first axis of an input may be symbolic: it becomes 1, and the interpreter computes any number
of samples at once. Floats of every width become 32 bits wide. Names of inputs and outputs in the
user's model are the attributes `inputs` and `outputs` of the graph.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend import rules
from ai8xc.frontend.building import (
    MAX_AXES,
    MAX_VALUES,
    Builder,
    constant,
    located,
    unusable_constants,
)
from ai8xc.frontend.names import sanitised, shown
from ai8xc.frontend.onnx_check import check_model, opset_of
from ai8xc.frontend.onnx_file import read_model
from ai8xc.frontend.onnx_layout import (
    CHANNELS_LAST,
    is_channels_last,
    single_channels_first,
    to_first,
    to_last,
)
from ai8xc.frontend.onnx_node import Node
from ai8xc.frontend.onnx_ops import CONVERTERS, CURES, SHAPE_KEEPING, STANDARD_DOMAINS
from ai8xc.frontend.onnx_order import computing_order, live_nodes
from ai8xc.frontend.onnx_stand_ins import StandIns
from ai8xc.frontend.onnx_tensors import DTYPES, ELEMENTS, TensorReader
from ai8xc.ir.core import Data, Graph, Input, Op, make_graph
from ai8xc.ir.diag import Diagnostic, Rejected, Rule
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, TensorShapeProto, ValueInfoProto

READERS_OF_PACKED: Final = ("Cast", "DequantizeLinear")
"""Operators that may read 4-bit constants: the import holds those in 8 bits, so that an operator
whose result is of the same type would compute in too many bits."""


def read_onnx(path: Path) -> Graph:
    """Return the network in an ONNX file.

    Raises `Rejected` with everything that is wrong with it; `unusable` is set for a file that
    cannot be read as a model at all.
    """
    model = read_model(path)
    findings = check_model(model, path.name)
    if findings:
        raise Rejected(findings)
    return _Importer(model, path).graph()


def survey_onnx(path: Path) -> tuple[Graph | None, list[Diagnostic]]:
    """Return what can be imported of an ONNX file, and everything that cannot.

    Where a node cannot be imported, inputs of the shape that it would give stand in for it, so
    that what comes behind can be looked at. Raises `Rejected` as `read_onnx` for a file that
    cannot be read as a model at all; None where no graph is left.
    """
    model = read_model(path)
    findings = check_model(model, path.name)
    if findings:
        raise Rejected(findings)
    importer = _Importer(model, path)
    try:
        return importer.graph(), []
    except Rejected:
        patched = _Importer(model, path, StandIns(model))
        return patched.partial(), patched.findings


class _Importer:
    """The walk over one model; findings are collected, broken values are None.

    With `stand_ins` the values of nodes that cannot be imported are inputs.
    """

    def __init__(self, model: ModelProto, path: Path, stand_ins: StandIns | None = None) -> None:
        self.stand_ins = stand_ins
        graph = model.graph
        self.source, self.opset, self.proto = path.name, opset_of(model), graph
        self.nodes = list(graph.node)
        self.tensors = TensorReader(path)
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.sparse = {tensor.values.name for tensor in graph.sparse_initializer}
        self.inputs = [info for info in graph.input if info.name not in self.initializers]
        self.outputs = [info.name for info in graph.output]
        self.packed = set(_packed(graph))
        self.producers = {
            name: index for index, node in enumerate(self.nodes) for name in node.output if name
        }
        self.findings: list[Diagnostic] = []
        self.builder = Builder()
        self.names = self.builder.names
        self.ends = {name: self.names.claim(name) for name in self.outputs}
        self.values: dict[str, Op | None] = {}
        self.layouts: list[str] = []
        """Layout of each input in the user's model where it is not channels first."""

    def graph(self) -> Graph:
        inputs = [op for op in map(self.input, self.inputs) if op is not None]
        live, order = self.order()
        read = {name for index in live for name in self.nodes[index].input} | set(self.outputs)
        for index in order:
            self.convert(index, read)
        outputs = [self.output(name) for name in self.outputs]
        found = [op for op in outputs if op is not None]
        if not self.findings:
            graph = make_graph(sanitised(Path(self.source).stem), "nn", inputs, found)
            self.findings.extend(unusable_constants(graph.ops))
        if self.findings:
            raise Rejected(self.findings)
        inputs_shown = tuple(shown(info.name) for info in self.inputs)
        graph, turned = single_channels_first(graph)
        layouts = tuple(
            turned.get(op.name, layout)
            for op, layout in zip(graph.inputs, self.layouts, strict=True)
        )
        ends = tuple(map(shown, self.outputs))
        return graph.having(
            inputs=inputs_shown, input_layouts=layouts if any(layouts) else None, outputs=ends
        )

    def order(self) -> tuple[frozenset[int], list[int]]:
        """Return the nodes that count, and those that can be computed in their order."""
        live = live_nodes(self.nodes, self.producers, self.outputs)
        order, cycle = computing_order(self.nodes, self.producers, live)
        if cycle:
            names = ", ".join(f"`{self.label(index)}`" for index in cycle[:8])
            self.say(rules.CYCLE, nodes=names)
        return live, order

    def partial(self) -> Graph | None:
        """Return the network around the nodes that cannot be imported."""
        inputs = [op for op in map(self.input, self.inputs) if op is not None]
        live, order = self.order()
        read = {name for index in live for name in self.nodes[index].input} | set(self.outputs)
        dangling: list[str] = []
        for index in order:
            self.convert(index, read)
            for name in self.nodes[index].output:
                if name in read and self.values.get(name) is None and self.stand_ins:
                    like = self.values.get(next(iter(self.nodes[index].input), ""))
                    keeps = self.nodes[index].op_type in SHAPE_KEEPING
                    kind = like.type if keeps and like is not None else None
                    self.values[name] = self.stand_ins.value(name, self.names, self.source, kind)
                    dangling += self.nodes[index].input
        before = [self.values.get(name) for name in dangling]
        found = [op for op in map(self.output, self.outputs) if op is not None]
        cut = [op for op in before if op is not None and not isinstance(op, nn.Constant)]
        found = [*cut, *found]
        if not found:
            return None
        return make_graph(sanitised(Path(self.source).stem), "nn", inputs, found)

    def say(self, rule: Rule, *, cure: str | None = None, **values: object) -> None:
        """Record a finding about the model."""
        fields: dict[str, Any] = values  # fill the message of the rule
        self.findings.append(rule.at(Loc(self.source), help=cure, **fields))

    def label(self, index: int) -> str:
        """Return the name of a node, or its type and number where it has none."""
        node = self.nodes[index]
        return shown(node.name or f"{node.op_type}_{index}")

    # Values

    def input(self, info: ValueInfoProto) -> Input | None:
        """Return an input of the graph."""
        name, kind = shown(info.name), info.type.WhichOneof("value")
        self.values[info.name] = None
        if kind != "tensor_type":
            what = "of no type" if kind is None else f"no tensor but a {kind.removesuffix('_type')}"
            self.say(rules.INPUT_TYPE, name=name, what=what)
            return None
        tensor = info.type.tensor_type
        element = DTYPES.get(tensor.elem_type, f"of type {tensor.elem_type}")
        if element not in ELEMENTS or element in ("int4", "uint4"):
            self.say(rules.INPUT_TYPE, name=name, what=element)
            return None
        if not tensor.HasField("shape"):
            self.say(rules.INPUT_TYPE, name=name, what="without a shape")
            return None
        shape = self.sizes(name, tensor.shape)
        if shape is None:
            return None
        return self.channels_first(info.name, TensorType(shape, ELEMENTS[element]))

    def channels_first(self, name: str, kind: TensorType) -> Input:
        """Return an input; one with channels last is turned back to the model's layout."""
        rank, loc, claimed = len(kind.shape), Loc(self.source), self.names.claim(name)
        if not is_channels_last(name, rank, self.nodes):
            self.layouts.append("")
            op = Input(kind, name=claimed, loc=loc)
            self.values[name] = op
            return op
        self.layouts.append(CHANNELS_LAST[rank])
        turned = kind.with_shape(tuple(kind.shape[axis] for axis in to_first(rank)))
        op = Input(turned, name=claimed, loc=loc)
        back = self.names.claim(f"{name}.{CHANNELS_LAST[rank]}")
        self.values[name] = nn.Transpose(op, to_last(rank), name=back, loc=loc)
        return op

    def sizes(self, name: str, shape: TensorShapeProto) -> tuple[int, ...] | None:
        """Return the sizes of an input, with a batch that is left open as 1."""
        sizes: list[int] = []
        before = len(self.findings)
        for axis, dim in enumerate(shape.dim):
            fixed = dim.WhichOneof("value") == "dim_value"
            sizes.append(dim.dim_value if fixed else 1)
            if fixed and dim.dim_value < 1:
                self.say(rules.INPUT_SIZE, name=name, axis=axis, size=dim.dim_value)
            if not fixed and axis > 0:
                size = f"`{shown(dim.dim_param)}`" if dim.dim_param else "unknown"
                cure = "export the model with a number there, or set it: only axis 0 may be open"
                self.say(rules.INPUT_AXIS, cure=cure, name=name, axis=axis, size=size)
        if len(sizes) > MAX_AXES:
            self.say(rules.MANY_AXES, name=name, count=len(sizes))
        count = math.prod(sizes)
        if count > MAX_VALUES:
            self.say(rules.TOO_LARGE, name=name, size=count)
        return tuple(sizes) if len(self.findings) == before else None

    def value(self, name: str) -> Op | None:
        """Return a value that a node reads; None where it is broken, which has been said."""
        if name in self.values or name in self.producers:
            return self.values.get(name)
        self.values[name] = None
        if name in self.initializers:
            try:
                array = self.tensors.read(self.initializers[name], shown(name))
                op = dataclasses.replace(
                    constant(array), name=self.names.claim(name), loc=Loc(self.source)
                )
                self.values[name] = op if self.stand_ins is None else self.finite(op)
            except Rejected as rejected:
                self.findings.extend(rejected.diagnostics)
        elif name in self.sparse:
            self.say(rules.CONSTANT_TYPE, name=shown(name), element="sparse values")
        else:
            self.say(rules.UNDEFINED, name=shown(name))
        return self.values[name]

    def finite(self, op: nn.Constant) -> nn.Constant:
        """Return a constant with 0 for what is no number, which is recorded."""
        wrong = [x for x in unusable_constants([op]) if x.rule is rules.NOT_FINITE]
        self.findings.extend(wrong)
        if not wrong:
            return op
        return dataclasses.replace(
            op, value=Data(np.nan_to_num(op.value.array, posinf=0, neginf=0))
        )

    def output(self, name: str) -> Op | None:
        """Return an output of the graph, an op of its own with its name."""
        value = self.value(name)
        if value is None or value.name == self.ends[name]:
            return value
        return nn.Identity(value, name=self.ends[name], loc=value.loc)

    # Nodes

    def convert(self, index: int, read: set[str]) -> None:
        """Convert one node; what it finds wrong is recorded."""
        proto, loc = self.nodes[index], Loc(self.source, (self.label(index),))
        self.values.update(dict.fromkeys(proto.output, None))
        inputs = [None if name == "" else self.value(name) for name in proto.input]
        standard = proto.domain in STANDARD_DOMAINS
        converter = CONVERTERS.get(proto.op_type) if standard else None
        if converter is None:
            op = shown(proto.op_type if standard else f"{proto.domain}.{proto.op_type}")
            cure = CURES.get(proto.op_type)
            self.findings.append(rules.UNKNOWN_OP.at(loc, op=op, help=cure))
            return
        if any(op is None and name for op, name in zip(inputs, proto.input, strict=True)):
            return
        if proto.op_type not in READERS_OF_PACKED and not self.packed.isdisjoint(proto.input):
            finding = rules.UNSUPPORTED.at(loc, op=proto.op_type, what="4-bit integers")
            self.findings.append(finding)
            return
        node = Node(
            proto.op_type,
            loc,
            self.builder.known,
            self.opset,
            tuple(inputs),
            tuple(name if name in read else None for name in proto.output),
            {attribute.name: attribute for attribute in proto.attribute},
            self.tensors.read,
        )
        try:
            made = converter(node)
            results = made if isinstance(made, tuple) else (made,)
            for name, result in zip(proto.output, results, strict=False):
                if result is not None:
                    self.values[name] = self.adopt(result, node, name, len(proto.output) > 1)
        except Rejected as rejected:
            self.findings.extend(located(finding, loc) for finding in rejected.diagnostics)

    def adopt(self, made: Op, node: Node, value: str, several: bool) -> Op:
        """Return the result of a converter with names and locations, checked."""
        label = self.nodes[self.producers[value]].name
        wanted = value if several or not label else label
        return self.builder.adopt(made, wanted, node.loc, self.ends.get(value))


def _packed(graph: GraphProto) -> Iterator[str]:
    """Return the names of the constants that are 4-bit integers."""
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute:
            kinds.update(dict.fromkeys(node.output, node.attribute[0].t.data_type))
    return (name for name, kind in kinds.items() if DTYPES.get(kind) in ("int4", "uint4"))
