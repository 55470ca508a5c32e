"""Findings about what no layer does, each with the nearest network that can be compiled."""

from __future__ import annotations

from math import prod

from ai8xc.device import Device
from ai8xc.dialects import q
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.passes.layers import rules


def no_layer(op: Op) -> Diagnostic:
    """Return the finding about an op that has no equivalent at all."""
    help = "compute it on the host, before or behind the network"
    if isinstance(op, q.Resize):
        help = "enlarge rows and columns by 2 or 4, or use a transposed convolution of stride 2"
    if isinstance(op, q.Transpose):
        help = "keep channels on axis 1; feed the input with its axes in that order"
    return rules.LAYOUT.at(op, opcode=op.opcode, why="no layer does it", help=help)


def strides(op: q.Conv) -> Diagnostic:
    """Return the finding about strides that no reader can do."""
    largest = min(max(op.geometry.strides), 16)
    help = f"use a stride of {largest} for rows and columns, in an 8-bit layer"
    return rules.STRIDE.at(op, strides=dims(op.geometry.strides), help=help)


def padding(op: q.Conv, device: Device) -> Diagnostic:
    """Return the finding about padding."""
    most = min(device.max_pad, max(op.kernel) - 1)
    help = f"pad rows and columns by up to {most} on both sides"
    return rules.PADDING.at(op, pads=dims(op.geometry.pads), help=help)


def groups(op: q.Conv) -> Diagnostic:
    """Return the finding about groups, which only computed weights leave."""
    channels = op.x.type.shape[1]
    help = "use constant weights"
    return rules.GROUPS.at(op, groups=op.groups, channels=channels, help=help)


def kernel(op: q.Conv | q.ConvTranspose, device: Device) -> Diagnostic:
    """Return the finding about a window that the hardware does not have."""
    steps = max(k // 2 for k in op.kernel)
    help = f"use {steps} layers of 3x3, which see the same values"
    if op.x.type.shape[3] == 1:
        help = f"use {-(-(max(op.kernel) - 1) // 8)} layers of up to 9 values"
    return rules.KERNEL.at(op, kernel=dims(op.kernel), device=device.name, help=help)


def dilation(op: q.Conv, device: Device) -> Diagnostic:
    """Return the finding about a dilation that the hardware does not have."""
    help = "use 3 taps" if op.x.type.shape[3] == 1 else "use a 3x3 kernel with dilation 2 or 4"
    return rules.DILATION.at(
        op,
        dilations=dims(op.geometry.dilations),
        kernel=dims(op.kernel),
        device=device.name,
        help=help,
    )


def transposed(op: q.ConvTranspose) -> Diagnostic:
    """Return the finding about a transposed convolution."""
    g = op.geometry
    why = f"kernel {dims(op.kernel)}, strides {dims(g.strides)}, pads {dims(g.pads)}"
    help = "use a 3x3 kernel with stride 2, padding 1 and output padding 1"
    return rules.TRANSPOSED.at(op, why=why, help=help)


def operands(op: Op, device: Device) -> Diagnostic:
    """Return the finding about too many operands."""
    help = f"combine up to {device.max_operands} at a time"
    return rules.OPERANDS.at(op, count=len(op.operands), help=help)


def pool(op: q.MaxPool | q.AveragePool, device: Device) -> Diagnostic | None:
    """Return why the hardware cannot pool like this, or nothing."""
    g = op.geometry
    single = op.x.type.shape[3] == 1
    wide = [d for k, d in zip(op.kernel, g.dilations, strict=True) if d > 1 and k != 2]
    why = help = ""
    if any(g.pads):
        why, help = f"padding {dims(g.pads)}", "put the activation in front of the pool"
    elif g.strides[0] != g.strides[1] and not single:
        why = f"strides {dims(g.strides)}"
        help = f"use a stride of {max(g.strides)} for rows and columns"
    elif max(op.kernel) > device.max_pool:
        why, help = f"a window of {dims(op.kernel)}", _smaller(op.kernel, device.max_pool)
    elif max(g.strides) > device.max_pool_stride:
        why = f"a stride of {max(g.strides)}"
        help = f"use two pools with strides of up to {device.max_pool_stride}"
    elif max(g.dilations) > device.max_pool_dilation or wide:
        why, help = f"dilation {dims(g.dilations)}", "pool neighbouring values"
    return rules.POOL.at(op, device=device.name, why=why, help=help) if why else None


def _smaller(kernel: tuple[int, ...], limit: int) -> str:
    """Return the largest window below this one that two pools can do."""
    steps = {a * b for a in range(1, limit + 1) for b in range(1, limit + 1)}
    size = max(n for n in steps if n <= max(kernel))
    return f"use a window of {dims(tuple(min(k, size) for k in kernel))}"


def join(op: q.Concat) -> Diagnostic:
    """Return the finding about tensors joined along another axis."""
    why = f"tensors are joined along axis {op.axis}"
    help = "join channels, or return the parts as outputs"
    return rules.LAYOUT.at(op, opcode=op.opcode, why=why, help=help)


def cut(op: q.Slice) -> Diagnostic:
    """Return the finding about a part of a tensor."""
    why = "only channels, rows and columns in front and behind can be left out"
    help = "take neighbouring channels, rows and columns; every n-th one is a stride"
    return rules.LAYOUT.at(op, opcode=op.opcode, why=why, help=help)


def reshape(op: q.Reshape) -> Diagnostic:
    """Return the finding about values that would have to move."""
    channels = op.x.type.shape[1]
    help = f"keep the {channels} channels, and change rows and columns only"
    before, after = dims(op.x.type.shape), dims(op.shape)
    return rules.RESHAPE.at(op, before=before, after=after, help=help)


def linear(op: q.Linear, shape: tuple[int, ...], why: str, device: Device) -> Diagnostic:
    """Return the finding about a matrix on too many values."""
    limit = min(device.max_flatten_inputs, shape[0] * device.max_flatten_pixels)
    help = f"pool {dims(shape)} to {limit} values or fewer"
    if prod(shape) <= limit:
        help = f"use {-(-shape[0] // device.processors) * device.processors} channels"
    return rules.LINEAR.at(op, shape=dims(shape), why=why, help=help)
