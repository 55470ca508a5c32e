"""Convolutions, matrix products, normalisation and pools of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ai8xc.dialects import nn
from ai8xc.frontend.building import constant
from ai8xc.frontend.node import Ints
from ai8xc.frontend.torch_node import Converter, Node
from ai8xc.ir.core import Op

EVAL: Final = "switch the model to inference before exporting it: `model.eval()`"


def spatial(node: Node, x: Op, rank: int | None = None) -> Ints:
    """Return the sizes behind batch and channels."""
    sizes = x.type.shape[2:]
    if not sizes or (rank is not None and len(sizes) != rank):
        raise node.malformed(f"the input has shape {list(x.type.shape)}")
    return sizes


def _unless(values: Ints, default: int) -> Ints:
    """Return the values, or nothing where all are the default."""
    return () if set(values) <= {default} else values


def _window(node: Node, rank: int) -> tuple[Ints, Ints, Ints]:
    """Return strides, pads and dilations of a layer, each empty where it is all defaults."""
    strides = node.ints("stride", rank, 1)
    dilations = node.ints("dilation", rank, 1)
    pads = node.ints("padding", rank, 0)
    if min((*strides, *dilations)) < 1 or min(pads) < 0:
        raise node.malformed("a stride or dilation is below 1, or a pad below 0")
    return _unless(strides, 1), _unless((*pads, *pads), 0), _unless(dilations, 1)


def _same(node: Node, kernel: Ints, dilations: Ints) -> Ints:
    """Return the pads that keep the size; torch puts an odd one at the end."""
    steps = dilations or (1,) * len(kernel)
    totals = [step * (size - 1) for size, step in zip(kernel, steps, strict=True)]
    begins = [total // 2 for total in totals]
    ends = [total - begin for total, begin in zip(totals, begins, strict=True)]
    return _unless((*begins, *ends), 0)


def conv(node: Node) -> Op:
    """conv1d, conv2d: `padding` may be `"same"` or `"valid"`."""
    x, weight = node.real("input"), node.real("weight")
    rank = len(spatial(node, x))
    mode = node.arguments.get("padding")
    if isinstance(mode, str):
        strides = _unless(node.ints("stride", rank, 1), 1)
        dilations = _unless(node.ints("dilation", rank, 1), 1)
        pads = _same(node, weight.type.shape[2:], dilations) if mode == "same" else ()
    else:
        strides, pads, dilations = _window(node, rank)
    groups = node.integer("groups", 1)
    return nn.Conv(x, weight, node.optional("bias"), strides, pads, dilations, groups)


def conv_transpose(node: Node) -> Op:
    """conv_transpose1d, conv_transpose2d."""
    x, weight = node.real("input"), node.real("weight")
    rank = len(spatial(node, x))
    extra = _unless(node.ints("output_padding", rank, 0), 0)
    window, groups = _window(node, rank), node.integer("groups", 1)
    return nn.ConvTranspose(x, weight, node.optional("bias"), *window, extra, groups)


def convolution(node: Node) -> Op:
    """The general convolution that decomposed programs have."""
    return conv_transpose(node) if node.flag("transposed") else conv(node)


def linear(node: Node) -> Op:
    """Linear, on the last axis."""
    return nn.Linear(node.real("input"), node.real("weight"), node.optional("bias"))


def addmm(node: Node) -> Op:
    """addmm: `beta * self + alpha * (mat1 @ mat2)`."""
    factors = node.number("alpha", 1.0), node.number("beta", 1.0)
    return nn.Gemm(node.real("mat1"), node.real("mat2"), node.real("self"), *factors)


def matmul(node: Node) -> Op:
    """matmul, mm, bmm: the second operand is called `other` or `mat2`."""
    second = "other" if "other" in node.arguments else "mat2"
    return nn.MatMul(node.real(), node.real(second))


def batch_norm(node: Node) -> Op:
    """Batch normalisation at inference; scale and bias may be absent."""
    if node.flag("training"):
        raise node.unsupported("training = True", EVAL)
    x, mean, var = node.real("input"), node.real("running_mean"), node.real("running_var")
    ones, zeros = (constant(np.full(mean.type.shape, n, np.float32)) for n in (1, 0))
    scale, bias = node.optional("weight") or ones, node.optional("bias") or zeros
    return nn.BatchNorm(x, scale, bias, mean, var, node.number("eps", 1e-5))


def batch_norm_first(node: Node) -> tuple[Op | None, ...]:
    """Batch normalisation of decomposed programs: two more results that nothing reads."""
    if any(node.read[1:]):
        raise node.unsupported("statistics of the batch", EVAL)
    return (batch_norm(node), None, None)


def _pool_window(node: Node, x: Op) -> tuple[Ints, Ints, Ints]:
    """Return kernel, strides (the kernel where they are absent) and pads of a pool."""
    rank = len(spatial(node, x))
    kernel = node.ints("kernel_size", rank)
    strides = node.ints("stride", rank) if node.arguments.get("stride") else kernel
    pads = node.ints("padding", rank, 0)
    if min((*kernel, *strides)) < 1 or min(pads) < 0:
        raise node.malformed("a kernel or stride is below 1, or a pad below 0")
    if any(2 * pad > size for pad, size in zip(pads, kernel, strict=True)):
        raise node.malformed("a pad is larger than half the kernel")
    return kernel, _unless(strides, 1), _unless((*pads, *pads), 0)


def max_pool(node: Node) -> Op:
    """max_pool1d, max_pool2d."""
    x = node.real()
    window = _pool_window(node, x)
    dilations = _unless(node.ints("dilation", len(window[0]), 1), 1)
    return nn.MaxPool(x, *window, dilations, node.flag("ceil_mode"))


def max_pool_first(node: Node) -> tuple[Op | None, ...]:
    """Maximum pools that also give the positions, which nothing may read."""
    if any(node.read[1:]):
        raise node.unsupported("the positions of the maxima")
    return (max_pool(node), None)


def average_pool(node: Node) -> Op:
    """avg_pool1d, avg_pool2d; padding counts unless asked otherwise."""
    if node.arguments.get("divisor_override") is not None:
        raise node.unsupported("divisor_override")
    x = node.real()
    window = _pool_window(node, x)
    include = node.flag("count_include_pad", True)
    return nn.AveragePool(x, *window, (), node.flag("ceil_mode"), include)


def _adaptive_kernel(node: Node, x: Op) -> Ints | None:
    """Return the kernel of an adaptive pool, None where it covers everything."""
    sizes = spatial(node, x)
    wanted = node.arguments.get("output_size")
    targets = (wanted,) * len(sizes) if not isinstance(wanted, tuple) else wanted
    kernel = []
    for size, target in zip(sizes, targets, strict=True):
        count = size if target is None else target
        if not isinstance(count, int) or count < 1 or size % count:
            raise node.unsupported(
                f"output_size = {count} of size {size}", "choose a size that divides the input's"
            )
        kernel.append(size // count)
    return None if tuple(kernel) == sizes else tuple(kernel)


def adaptive_average_pool(node: Node) -> Op:
    """adaptive_avg_pool1d, adaptive_avg_pool2d, where the windows are all of one size."""
    x = node.real()
    kernel = _adaptive_kernel(node, x)
    if kernel is None:
        return nn.GlobalAveragePool(x)
    return nn.AveragePool(x, kernel, _unless(kernel, 1))


def adaptive_max_pool(node: Node) -> tuple[Op | None, ...]:
    """adaptive_max_pool1d, adaptive_max_pool2d, where the windows are all of one size."""
    if any(node.read[1:]):
        raise node.unsupported("the positions of the maxima")
    x = node.real()
    kernel = _adaptive_kernel(node, x)
    if kernel is None:
        return (nn.GlobalMaxPool(x), None)
    return (nn.MaxPool(x, kernel, _unless(kernel, 1)), None)


def mean(node: Node) -> Op:
    """Mean over some axes, or all of them."""
    x = node.real()
    rank = len(x.type.shape)
    given = node.ints("dim") if node.arguments.get("dim") not in (None, ()) else tuple(range(rank))
    return nn.ReduceMean(x, node.axes(given, rank), node.flag("keepdim"))


def upsample_nearest(node: Node) -> Op:
    """Nearest-neighbour interpolation by whole factors."""
    x = node.real("input") if "input" in node.arguments else node.real()
    sizes = spatial(node, x)
    factors = node.arguments.get("scale_factors")
    if node.arguments.get("output_size") is not None:
        targets = node.ints("output_size", len(sizes))
    elif isinstance(factors, tuple) and len(factors) == len(sizes):
        numbers = [float(factor) for factor in factors if isinstance(factor, int | float)]
        targets = tuple(int(n * f) for n, f in zip(sizes, numbers, strict=True))
    else:
        raise node.malformed("neither a size nor factors are given")
    if any(target < size or target % size for size, target in zip(sizes, targets, strict=True)):
        raise node.unsupported(f"size {list(targets)} from {list(sizes)}", "use a whole factor")
    return nn.Resize(x, tuple(t // n for n, t in zip(sizes, targets, strict=True)))


CONVERTERS: Final[Mapping[str, Converter]] = {
    "aten._adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten._native_batch_norm_legit_no_training.default": batch_norm_first,
    "aten.adaptive_avg_pool1d.default": adaptive_average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.adaptive_max_pool1d.default": adaptive_max_pool,
    "aten.adaptive_max_pool2d.default": adaptive_max_pool,
    "aten.addmm.default": addmm,
    "aten.avg_pool1d.default": average_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten.batch_norm.default": batch_norm,
    "aten.bmm.default": matmul,
    "aten.conv1d.default": conv,
    "aten.conv1d.padding": conv,
    "aten.conv2d.default": conv,
    "aten.conv2d.padding": conv,
    "aten.conv_transpose1d.default": conv_transpose,
    "aten.conv_transpose2d.input": conv_transpose,
    "aten.convolution.default": convolution,
    "aten.linear.default": linear,
    "aten.matmul.default": matmul,
    "aten.max_pool1d.default": max_pool,
    "aten.max_pool1d_with_indices.default": max_pool_first,
    "aten.max_pool2d.default": max_pool,
    "aten.max_pool2d_with_indices.default": max_pool_first,
    "aten.mean.default": mean,
    "aten.mean.dim": mean,
    "aten.mm.default": matmul,
    "aten.upsample_nearest1d.default": upsample_nearest,
    "aten.upsample_nearest1d.vec": upsample_nearest,
    "aten.upsample_nearest2d.default": upsample_nearest,
    "aten.upsample_nearest2d.vec": upsample_nearest,
}
