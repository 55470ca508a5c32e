"""Smaller ONNX models out of one, for the search of the part that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto


def smaller_models(content: bytes) -> Iterator[bytes]:
    """Yield models with fewer nodes: those that end or start at a node, those without one node."""
    import onnx

    model = onnx.load_model_from_string(content)
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:
        model = onnx.load_model_from_string(content)
    types = {info.name: info for info in (*model.graph.value_info, *model.graph.output)}
    nodes = list(model.graph.node)
    for node in nodes:
        yield from _if_smaller(model, _until(model, node, types))
    for node in reversed(nodes):
        if node.output and node.output[0] in types:
            yield from _if_smaller(model, _behind(model, node, types[node.output[0]]))
    for node in nodes:
        if node.input and node.output:
            yield from _if_smaller(model, _without(model, node))


def _if_smaller(model: ModelProto, made: ModelProto) -> Iterator[bytes]:
    _drop_unused(made.graph)
    if len(made.graph.node) < len(model.graph.node):
        yield made.SerializeToString(deterministic=True)


def _copied(model: ModelProto) -> ModelProto:
    made = type(model)()
    made.CopyFrom(model)
    del made.graph.value_info[:]
    return made


def _until(model: ModelProto, node: NodeProto, types: Mapping[str, ValueInfoProto]) -> ModelProto:
    """Return the model whose outputs are those of a node."""
    made = _copied(model)
    del made.graph.output[:]
    for name in filter(None, node.output):
        known = types.get(name)
        made.graph.output.add(name=name) if known is None else made.graph.output.append(known)
    return made


def _behind(model: ModelProto, node: NodeProto, kind: ValueInfoProto) -> ModelProto:
    """Return the model in which the value of a node is an input."""
    made = _copied(model)
    kept = [other for other in made.graph.node if node.output[0] not in other.output]
    del made.graph.node[:]
    made.graph.node.extend(kept)
    made.graph.input.append(kind)
    return made


def _without(model: ModelProto, node: NodeProto) -> ModelProto:
    """Return the model whose readers of a node read its first input."""
    made = _copied(model)
    kept = [other for other in made.graph.node if node.output[0] not in other.output]
    for other in kept:
        names = [node.input[0] if name == node.output[0] else name for name in other.input]
        del other.input[:]
        other.input.extend(names)
    del made.graph.node[:]
    made.graph.node.extend(kept)
    return made


def _drop_unused(graph: GraphProto) -> None:
    """Take out nodes, inputs and constants that no output needs."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            needed |= {name for a in node.attribute for n in a.g.node for name in n.input}
            kept.append(node)
    nodes, kept = kept[::-1], []
    del graph.node[:]
    graph.node.extend(nodes)
    for values in (graph.input, graph.initializer):
        used = [value for value in values if value.name in needed]
        del values[:]
        values.extend(used)
