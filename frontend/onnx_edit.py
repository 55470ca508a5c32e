"""An ONNX model that is being changed: nodes by what they compute, constants by their values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ai8xc.frontend.names import shown
from ai8xc.frontend.onnx_tensors import TensorReader
from ai8xc.ir.types import Array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto, TensorProto

Value = int | float | str | list[int]


class Editor:
    """One model; nodes are changed in place, in the order of the file."""

    def __init__(self, model: ModelProto, path: Path) -> None:
        self.model, self.graph = model, model.graph
        self.reader = TensorReader(path)
        for index, node in enumerate(self.graph.node):
            node.name = node.name or f"{node.op_type}_{index}"  # as findings have it
        self.tensors: dict[str, TensorProto] = {t.name: t for t in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.tensors[node.output[0]] = node.attribute[0].t
        self.outputs = [info.name for info in self.graph.output]
        self.taken = {name for node in self.graph.node for name in (*node.input, *node.output)}
        self.taken |= set(self.tensors)

    @property
    def nodes(self) -> list[NodeProto]:
        """The nodes, in the order of the file; a copy, so that they can be removed."""
        return list(self.graph.node)

    def label(self, node: NodeProto) -> str:
        """Return the name of a node as findings have it."""
        return shown(node.name)

    def producer(self, name: str) -> NodeProto | None:
        """Return the node that computes a value."""
        return next((node for node in self.graph.node if name in node.output), None)

    def readers(self, name: str) -> list[NodeProto]:
        """Return the nodes that read a value."""
        return [node for node in self.graph.node if name in node.input]

    def only_reader(self, name: str) -> NodeProto | None:
        """Return the one node that reads a value; None where there are others, or an output."""
        found = self.readers(name)
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def constant(self, name: str) -> Array | None:
        """Return a constant, floats as float32."""
        tensor = self.tensors.get(name)
        return None if tensor is None else self.reader.read(tensor, shown(name))

    def add_constant(self, wanted: str, array: Array) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = self.free(wanted)
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.graph.initializer.append(tensor)
        self.tensors[name] = tensor
        return name

    def free(self, wanted: str) -> str:
        """Return a name that nothing has."""
        name, count = wanted, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}_{count}"
        self.taken.add(name)
        return name

    def drop(self, node: NodeProto) -> None:
        """Remove a node whose readers read its first input instead."""
        source, value = node.input[0], node.output[0]
        if value in self.outputs:
            self.rename_output(node, source)
        else:
            self.redirect(value, source)
        self.graph.node.remove(node)

    def rename_output(self, node: NodeProto, source: str) -> None:
        """Give the source of an output's last node the name of the output."""
        value = node.output[0]
        before = self.producer(source)
        if before is None:
            raise LookupError("an input is returned as it is")
        for reader in self.readers(source):
            reader.input[:] = [value if name == source else name for name in reader.input]
        for reader in self.readers(value):
            reader.input[:] = [value if name == source else name for name in reader.input]
        before.output[:] = [value if name == source else name for name in before.output]
        node.output[0] = self.free(f"{value}_dropped")
        node.input[0] = value

    def redirect(self, value: str, to: str) -> None:
        """Make all readers of a value read another one."""
        for reader in self.readers(value):
            reader.input[:] = [to if name == value else name for name in reader.input]

    def insert_before(self, node: NodeProto, new: Sequence[NodeProto]) -> None:
        """Put nodes in front of another."""
        at = list(self.graph.node).index(node)
        for offset, each in enumerate(new):
            self.graph.node.insert(at + offset, each)

    def inline_external(self) -> None:
        """Take data that lie beside the model into it: the new file stands alone."""
        from onnx import numpy_helper

        for tensor in self.graph.initializer:
            if tensor.data_location == tensor.EXTERNAL:
                array = self.reader.read(tensor, shown(tensor.name))
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    def remove_dead(self) -> None:
        """Remove nodes and constants that nobody reads."""
        while True:
            reads = Counter(name for node in self.graph.node for name in node.input)
            kept = [n for n in self.graph.node if self.needed(n, reads)]
            if len(kept) == len(self.graph.node):
                break
            del self.graph.node[:]
            self.graph.node.extend(kept)
        reads = Counter(name for node in self.graph.node for name in node.input)
        constants = [t for t in self.graph.initializer if reads[t.name] or t.name in self.outputs]
        del self.graph.initializer[:]
        self.graph.initializer.extend(constants)
        kept_inputs = [i for i in self.graph.input if i.name not in self.tensors or reads[i.name]]
        del self.graph.input[:]
        self.graph.input.extend(kept_inputs)

    def needed(self, node: NodeProto, reads: Mapping[str, int]) -> bool:
        """Whether somebody reads what a node computes."""
        return any(reads.get(name, 0) or name in self.outputs for name in node.output)


def attribute(node: NodeProto, name: str, default: Value) -> Value:
    """Return an attribute of a node, of the kind of its default."""
    for found in node.attribute:
        if found.name == name:
            if isinstance(default, list):
                return list(found.ints)
            if isinstance(default, int):
                return int(found.i)
            return float(found.f) if isinstance(default, float) else found.s.decode()
    return default


def integers(node: NodeProto, name: str, count: int, default: int) -> list[int]:
    """Return a list of integers of a node."""
    found = attribute(node, name, [])
    return found if isinstance(found, list) and found else [default] * count


def set_attribute(node: NodeProto, name: str, value: Value | None) -> None:
    """Set an attribute of a node; None removes it."""
    from onnx import helper

    for found in list(node.attribute):
        if found.name == name:
            node.attribute.remove(found)
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))
