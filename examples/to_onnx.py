"""Write a trained `torch.nn.Sequential` as ONNX, one node per module, named `/module/OpType`."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

BATCH = "N"


def save(net: nn.Sequential, input_shape: tuple[int, ...], path: Path) -> None:
    """Write `net` (in inference mode) for inputs of shape N x `input_shape` to `path`.

    Batch normalisation stays a node of its own. Two runs write the same bytes.
    """
    nodes, value = [], "input"
    for name, module in net.named_children():
        op_type, attributes = operator(module)
        node_name = f"/{name}/{op_type}"
        output = f"{node_name}_output_0"
        inputs = [value, *(f"{name}.{tensor}" for tensor in tensors(module))]
        nodes.append(helper.make_node(op_type, inputs, [output], node_name, **attributes))
        value = output
    nodes[-1].output[0] = "logits"
    classes = net(torch.zeros(1, *input_shape)).shape[1:]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, (BATCH, *input_shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (BATCH, *classes))],
        [
            numpy_helper.from_array(array, f"{name}.{tensor}")
            for name, module in net.named_children()
            for tensor, array in tensors(module).items()
        ],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, producer_name="ai8xc examples", opset_imports=[opset])
    model.ir_version = 8  # the version that came with opset 17: old runtimes read it too
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def tensors(module: nn.Module) -> dict[str, np.ndarray]:
    """Return the constants of a module, in the order in which its ONNX operator takes them."""
    return {
        name: tensor.detach().numpy()
        for name, tensor in module.state_dict().items()
        if name != "num_batches_tracked"  # a counter of the training, no operand
    }


def operator(module: nn.Module) -> tuple[str, dict[str, object]]:
    """Return the ONNX operator type and the attributes of a module."""
    match module:
        case nn.Conv2d():
            return "Conv", {
                "kernel_shape": module.kernel_size,
                "pads": module.padding * 2,
                "strides": module.stride,
                "dilations": module.dilation,
                "group": module.groups,
            }
        case nn.BatchNorm2d():
            return "BatchNormalization", {"epsilon": module.eps}
        case nn.ReLU():
            return "Relu", {}
        case nn.MaxPool2d():
            return "MaxPool", window(module)
        case nn.AvgPool2d():
            return "AveragePool", window(module)
        case nn.Flatten():
            return "Flatten", {"axis": 1}
        case nn.Linear():
            return "Gemm", {"transB": 1}
    raise TypeError(f"no ONNX operator for {type(module).__name__}")


def window(pool: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, object]:
    """Return the attributes of an unpadded square pooling window."""
    return {"kernel_shape": (pool.kernel_size,) * 2, "strides": (pool.stride,) * 2}
