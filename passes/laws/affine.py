"""Scales and shifts, and the laws by which layers take them in.

A batch norm, and arithmetic with a constant, is `scale * x + shift` with one value for the whole
tensor or one for each index of an axis. Convolutions are linear, so the layer that makes `x`
or the layer that reads the result can compute it too.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ai8xc.dialects import nn
from ai8xc.ir.core import Op
from ai8xc.passes.laws.constants import Floats, Layer, floats_of, with_parameters
from ai8xc.passes.laws.windows import is_padded, reads_only_padding

Uses = Mapping[Op, int]


@dataclass(frozen=True, eq=False)
class Affine:
    """`scale * x + shift`; both hold one value, or one for each index of `axis`."""

    scale: Floats
    shift: Floats
    axis: int | None

    @property
    def moves(self) -> bool:
        """Whether there is a shift at all."""
        return bool(self.shift.any())

    @property
    def positive(self) -> bool:
        """Whether all scales are above zero."""
        return bool((self.scale > 0).all())

    @property
    def uniform_scale(self) -> float | None:
        """The scale, where there is one for all."""
        first = float(self.scale.reshape(-1)[0])
        return first if (self.scale == first).all() else None

    def along(self, axis: int) -> bool:
        """Whether this is one value for each index of `axis`, or one for all."""
        return self.axis in (None, axis)

    def spread(self, count: int) -> tuple[Floats, Floats]:
        """Return scale and shift as `count` values each."""
        return np.broadcast_to(self.scale, (count,)), np.broadcast_to(self.shift, (count,))

    def part(self, begin: int, end: int) -> Affine:
        """Return what applies to the indices `begin` up to `end`."""
        scale, shift = (v[begin:end] if v.ndim else v for v in (self.scale, self.shift))
        return Affine(scale, shift, self.axis)


def of_batch_norm(op: nn.BatchNorm) -> Affine | None:
    """Return what a batch norm computes; None if its parameters are not finite constants."""
    scale, bias = floats_of(op.scale), floats_of(op.bias)
    mean, var = floats_of(op.mean), floats_of(op.var)
    if scale is None or bias is None or mean is None or var is None:
        return None
    if (var + op.epsilon <= 0).any():
        return None
    factor = scale / np.sqrt(var + op.epsilon)
    return Affine(factor, bias - mean * factor, 1)


def of_arithmetic(op: Op) -> tuple[Op, Op, Affine] | None:
    """Return data, constant and meaning of an op that is arithmetic with a constant.

    None where the constant makes the tensor larger or differs along more than one axis.
    """
    match op:
        case nn.Mul(a=x, b=nn.Constant() as c) | nn.Mul(a=nn.Constant() as c, b=x):
            return _arithmetic(op, x, c, _times)
        case nn.Div(a=x, b=nn.Constant() as c):
            return _arithmetic(op, x, c, _divided)
        case nn.Add(a=x, b=nn.Constant() as c) | nn.Add(a=nn.Constant() as c, b=x):
            return _arithmetic(op, x, c, _plus)
        case nn.Sub(a=x, b=nn.Constant() as c):
            return _arithmetic(op, x, c, _minus)
        case nn.Sub(a=nn.Constant() as c, b=x):
            return _arithmetic(op, x, c, _taken_from)
        case _:
            return None


_ONE = np.ones(())
_ZERO = np.zeros(())


def _times(c: Floats) -> tuple[Floats, Floats]:
    return c, _ZERO


def _divided(c: Floats) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore"):
        return np.asarray(1 / c), _ZERO


def _plus(c: Floats) -> tuple[Floats, Floats]:
    return _ONE, c


def _minus(c: Floats) -> tuple[Floats, Floats]:
    return _ONE, -c


def _taken_from(c: Floats) -> tuple[Floats, Floats]:
    return -_ONE, c


def _arithmetic(
    op: Op, x: Op, c: Op, meaning: Callable[[Floats], tuple[Floats, Floats]]
) -> tuple[Op, Op, Affine] | None:
    values = floats_of(c)
    if values is None or op.type.shape != x.type.shape:
        return None
    if (values == values.flat[0]).all():
        values, axis = values.reshape(-1)[0], None
    else:
        shape = (1,) * (len(x.type.shape) - values.ndim) + values.shape
        wide = [i for i, size in enumerate(shape) if size != 1]
        if len(wide) != 1:
            return None
        values, axis = values.reshape(-1), wide[0]
    scale, shift = meaning(np.asarray(values))
    return (x, c, Affine(scale, shift, axis)) if np.isfinite(scale).all() else None


def behind(x: Op, f: Affine, uses: Uses) -> Op | None:
    """Return what computes `f(x)` in the layer that makes `x`; None where that is not exact.

    On the way to the layer, `f` passes pools and activations that it commutes with. Nothing on
    the way may have another reader.
    """
    if uses[x] != 1:
        return None
    match x:
        case nn.Conv() | nn.ConvTranspose() | nn.Linear():
            return _behind_layer(x, f)
        case nn.Concat():
            return _behind_concat(x, f, uses)
        case nn.Clip():
            return _behind_clip(x, f, uses)
    if not _commutes(x, f):
        return None
    inner = behind(x.operands[0], f, uses)
    return None if inner is None else x.with_operands({x.operands[0]: inner})


def _commutes(x: Op, f: Affine) -> bool:
    """Whether `f(op(y)) = op(f(y))`."""
    match x:
        case nn.AveragePool():  # a mean of shifted values is shifted, unless zeros are among them
            return f.along(1) and not (f.moves and x.count_include_pad and is_padded(x))
        case nn.MaxPool():  # a growing function keeps the order
            return f.along(1) and f.positive and not reads_only_padding(x)
        case nn.Relu() | nn.LeakyRelu() | nn.Abs():
            return f.positive and not f.moves
        case nn.Reshape():
            return f.axis is None
        case _:
            return False


def _behind_clip(x: nn.Clip, f: Affine, uses: Uses) -> Op | None:
    """Limits move with the values: `f(clip(y, low, high)) = clip(f(y), f(low), f(high))`."""
    scale, shift = f.uniform_scale, float(f.shift.reshape(-1)[0])
    if scale is None or scale <= 0 or not (f.shift == shift).all():
        return None
    inner = behind(x.x, f, uses)
    if inner is None:
        return None
    low, high = scale * x.low + shift, scale * x.high + shift
    return dataclasses.replace(x, x=inner, low=low, high=high)


def _behind_concat(x: nn.Concat, f: Affine, uses: Uses) -> Op | None:
    """Each part is scaled by its share of the values."""
    begin, parts = 0, []
    for operand in x.xs:
        end = begin + operand.type.shape[x.axis]
        share = f.part(begin, end) if f.axis == x.axis else f
        part = behind(operand, share, uses)
        if part is None:
            return None
        parts.append(part)
        begin = end
    return dataclasses.replace(x, xs=tuple(parts))


def _behind_layer(layer: Layer, f: Affine) -> Layer | None:
    """`f(W x + b) = (scale W) x + (scale b + shift)`, by output channel.

    Under a rectifier only positive scales without shift pass, under a limit only one for all
    channels: `scale * min(y, limit) = min(scale * y, scale * limit)`.
    """
    axis = len(layer.type.shape) - 1 if isinstance(layer, nn.Linear) else 1
    weight, bias = floats_of(layer.weight), floats_of(layer.bias)
    if weight is None or (bias is None and layer.bias is not None) or not f.along(axis):
        return None
    limit = layer.limit
    bent = layer.activation != "none" or math.isfinite(limit)
    if bent and (f.moves or not f.positive):
        return None
    if math.isfinite(limit):
        if f.uniform_scale is None:
            return None
        limit *= f.uniform_scale
    scale, shift = f.spread(layer.type.shape[axis])
    if bias is not None or f.moves:
        bias = (0 if bias is None else bias) * scale + shift
    scaled = with_parameters(layer, weight * _of_outputs(layer, weight, scale), bias)
    return None if scaled is None else dataclasses.replace(scaled, limit=limit)


def _of_outputs(layer: Layer, weight: Floats, scale: Floats) -> Floats:
    """Return one factor an output channel so that it broadcasts over the weight."""
    taps = (1,) * (weight.ndim - 2)
    if not isinstance(layer, nn.ConvTranspose):
        return scale.reshape(-1, 1, *taps)
    by_group = scale.reshape(layer.groups, weight.shape[1])
    return np.repeat(by_group, weight.shape[0] // layer.groups, axis=0).reshape(
        *weight.shape[:2], *taps
    )


def in_front(layer: Layer, f: Affine) -> Layer | None:
    """Return the layer that computes `layer(f(x))` from `x`: `W (scale x + shift) + b`.

    The shift goes into the bias as `W shift`. That is exact where each output sums all taps, so
    not where zeros of the padding, or between the values of a transposed convolution, take part.
    The result still reads `f(x)`: the caller puts `x` there.
    """
    weight, bias = floats_of(layer.weight), floats_of(layer.bias)
    if weight is None or (bias is None and layer.bias is not None):
        return None
    if f.moves and (isinstance(layer, nn.ConvTranspose) or is_padded(layer)):
        return None
    scale, shift = _of_inputs(layer, weight, f)
    if f.moves:
        added = (weight * shift).reshape(weight.shape[0], -1).sum(axis=1)
        bias = added if bias is None else bias + added
    return with_parameters(layer, weight * scale, bias)


def _of_inputs(layer: Layer, weight: Floats, f: Affine) -> tuple[Floats, Floats]:
    """Return scale and shift by input channel so that they broadcast over the weight."""
    taps = (1,) * (weight.ndim - 2)
    if isinstance(layer, nn.ConvTranspose):
        scale, shift = f.spread(weight.shape[0])
        return scale.reshape(-1, 1, *taps), shift.reshape(-1, 1, *taps)
    groups = layer.groups if isinstance(layer, nn.Conv) else 1
    scale, shift = (
        np.repeat(v.reshape(groups, -1), weight.shape[0] // groups, axis=0).reshape(
            *weight.shape[:2], *taps
        )
        for v in f.spread(weight.shape[1] * groups)
    )
    return scale, shift
