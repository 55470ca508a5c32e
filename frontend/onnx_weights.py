"""Integer weights and biases of an ONNX model, for a network that a description lays out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ai8xc.frontend.onnx_file import read_model
from ai8xc.frontend.onnx_tensors import TensorReader
from ai8xc.ir.types import Array


@dataclass(frozen=True)
class NodeWeights:
    """The arrays of one node as the model has them; weights of matrices are M x C."""

    name: str
    operator: str
    weight: Array
    bias: Array | None


def read_node_weights(path: Path) -> list[NodeWeights]:
    """Return what the nodes with weights hold, in their order; raises `Rejected`.

    These are Conv, ConvTranspose and Gemm nodes whose weights are initialisers.
    """
    model = read_model(path)
    reader = TensorReader(path)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.input) < 2:
            continue
        arrays = [
            reader.read(stored[name], name) if name in stored else None for name in node.input[1:3]
        ]
        weight, bias = (*arrays, None)[:2]
        if weight is None:
            continue
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        if node.op_type == "Gemm" and not turned:
            weight = weight.T
        found.append(NodeWeights(node.name or node.output[0], node.op_type, weight, bias))
    return found
