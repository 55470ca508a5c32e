"""Networks of well-known forms with random weights, written with `onnx.helper`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """Grows an ONNX model; each method adds nodes and returns the name of their result."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.random = np.random.default_rng(1)
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *shape))

    def node(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], f"/{name}", **attributes))
        return name

    def array(self, values: np.ndarray) -> str:
        name = f"w{len(self.arrays)}"
        self.arrays.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def weight(self, *shape: int) -> str:
        spread = 1 / np.sqrt(np.prod(shape[1:]))
        return self.array(self.random.uniform(-spread, spread, shape))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 3, **attributes: object) -> str:
        """A convolution with its batch norm; `rank` 1 or 2, `groups` as usual."""
        rank, groups = int(attributes.pop("rank", 2)), int(attributes.pop("groups", 1))  # type: ignore[call-overload]
        stride, dilation = attributes.pop("stride", 1), int(attributes.pop("dilation", 1))  # type: ignore[call-overload]
        pad = attributes.pop("pad", dilation * (kernel // 2))
        weight = self.weight(outputs, inputs // groups, *[kernel] * rank)
        found = self.node(
            "Conv", x, weight, kernel_shape=[kernel] * rank, strides=[stride] * rank,
            dilations=[dilation] * rank, pads=[pad] * 2 * rank, group=groups,
        )  # fmt: skip
        ones = [self.array(self.random.uniform(0.5, 1.5, outputs)) for _ in range(2)]
        zeros = [self.array(self.random.uniform(-0.2, 0.2, outputs)) for _ in range(2)]
        return self.node("BatchNormalization", found, ones[0], *zeros, ones[1])

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def pool(self, x: str, kernel: int = 2) -> str:
        return self.node("MaxPool", x, kernel_shape=[kernel] * 2, strides=[kernel] * 2)

    def matrix(self, x: str, inputs: int, outputs: int) -> str:
        weight, bias = self.weight(outputs, inputs), self.weight(outputs)
        return self.node("Gemm", self.node("Flatten", x), weight, bias, transB=1)

    def model(self, output: str) -> onnx.ModelProto:
        result = helper.make_empty_tensor_value_info(output)
        graph = helper.make_graph(self.nodes, self.name, [self.input], [result], self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def resnet(channels: int = 16, size: int = 32) -> onnx.ModelProto:
    """A stem, two basic blocks, one of them with stride and projection, and the classifier."""
    net = Net("resnet", (3, size, size))
    x = net.relu(net.conv("x", 3, channels))
    y = net.conv(net.relu(net.conv(x, channels, channels)), channels, channels)
    x = net.relu(net.node("Add", y, x))
    wide = 2 * channels
    y = net.conv(net.relu(net.conv(x, channels, wide, stride=2)), wide, wide)
    x = net.relu(net.node("Add", y, net.conv(x, channels, wide, 1, stride=2)))
    return net.model(net.matrix(net.node("GlobalAveragePool", x), wide, 10))


def mobilenet_v2(channels: int = 16, size: int = 32) -> onnx.ModelProto:
    """Two inverted residuals (expand, depthwise, project) with ReLU6."""
    net = Net("mobilenet_v2", (3, size, size))
    low, high = net.array(np.array(0.0)), net.array(np.array(6.0))

    def clip(x: str) -> str:
        return net.node("Clip", x, low, high)

    x = clip(net.conv("x", 3, channels, stride=2))
    for _ in range(2):
        wide = 4 * channels
        y = clip(net.conv(x, channels, wide, 1))
        y = clip(net.conv(y, wide, wide, groups=wide))
        x = net.node("Add", net.conv(y, wide, channels, 1), x)
    return net.model(net.matrix(net.node("GlobalAveragePool", x), channels, 10))


def unet(channels: int = 8, size: int = 32) -> onnx.ModelProto:
    """Two levels down and up, residual blocks, skips joined by concatenation."""
    net = Net("unet", (3, size, size))

    def block(x: str, inputs: int, outputs: int) -> str:
        first = net.relu(net.conv(x, inputs, outputs))
        return net.relu(net.node("Add", net.conv(first, outputs, outputs), first))

    def up(x: str, inputs: int, outputs: int) -> str:
        weight = net.weight(inputs, outputs, 3, 3)
        return net.node(
            "ConvTranspose", x, weight, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4,
            output_padding=[1, 1],
        )  # fmt: skip

    c = channels
    one = block("x", 3, c)
    two = block(net.pool(one), c, 2 * c)
    bottom = block(net.pool(two), 2 * c, 4 * c)
    x = net.node("Concat", up(bottom, 4 * c, 2 * c), two, axis=1)
    x = net.node("Concat", up(block(x, 4 * c, 2 * c), 2 * c, c), one, axis=1)
    x = block(x, 2 * c, c)
    return net.model(net.conv(x, c, 4, 1))


def tcn(channels: int = 32, length: int = 64) -> onnx.ModelProto:
    """Dilated 1-D convolutions without padding, residuals cropped by a slice."""
    net = Net("tcn", (channels, length))
    x = "x"
    for dilation in (1, 2, 4):
        x = net.relu(net.conv(x, channels, channels, 3, rank=1, dilation=dilation, pad=0))
    kernel = length - 14
    x = net.node("AveragePool", x, kernel_shape=[kernel], strides=[kernel])
    return net.model(net.matrix(x, channels, 6))


BLOCKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "resnet": resnet, "mobilenet_v2": mobilenet_v2, "unet": unet, "tcn": tcn
}  # fmt: skip


def save(name: str, folder: Path) -> Path:
    """Write one of the networks to a file."""
    path = folder / f"{name}.onnx"
    onnx.save(BLOCKS[name](), path)
    return path
