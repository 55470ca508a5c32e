"""Makes hardware layers of integer ops: every op becomes a feed, layers where needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ai8xc.device import Device
from ai8xc.dialects import ai8x, q
from ai8xc.ir.core import Data, Graph, Input, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.types import Element, TensorType
from ai8xc.passes.identity import OUTPUT_SHIFT, layer_weight
from ai8xc.passes.layers import advice
from ai8xc.passes.layers.feed import Feed, Shape, combined, joined, stacked
from ai8xc.passes.layers.limits import passes_of

Weighted = q.Conv | q.ConvTranspose | q.Linear
Eltwise = q.Add | q.Sub | q.BitwiseOr | q.BitwiseXor


@dataclass
class Builder:
    """One graph on its way to hardware layers.

    `ops` are what was made so far, in order of execution; `stored` the integer ops that get a
    layer of their own although some reader could do the work itself.
    """

    device: Device
    stored: frozenset[Op]
    ops: list[Op] = field(default_factory=list)
    feeds: dict[Op, Feed] = field(default_factory=dict)
    wanted: set[Op] = field(default_factory=set)
    findings: list[Diagnostic] = field(default_factory=list)
    constants: dict[Op, ai8x.Constant] = field(default_factory=dict)

    def run(self, graph: Graph) -> tuple[Op, ...]:
        """Return the op of each output."""
        for op in graph.ops:
            if isinstance(op, q.Constant):
                continue
            self.feeds[op] = self.feed_of(op)
            if op in self.stored:
                self.tensor(op)
        return tuple(self.output(op) for op in graph.outputs)

    def output(self, op: Op) -> Op:
        """Return the tensor of an output; an input that is returned as it is gets copied."""
        found = self.tensor(op).xs[0]
        if isinstance(found, Input):
            found = self.layer(ai8x.Passthrough(xs=(found,), name=op.name, loc=op.loc))
        return found

    # Feeds

    def feed_of(self, op: Op) -> Feed:
        """Return what a reader of this op reads."""
        match op:
            case Input():
                return self.input(op)
            case q.Conv():
                return self.conv(op)
            case q.ConvTranspose():
                return self.transposed(op)
            case q.Linear():
                return self.linear(op)
            case q.Add() | q.Sub() | q.BitwiseOr() | q.BitwiseXor():
                return self.eltwise(op)
            case q.MaxPool() | q.AveragePool():
                return self.pool(op)
            case q.Concat():
                return self.concat(op)
            case q.Reshape():
                return self.reshape(op)
            case q.Slice():
                return self.slice(op)
            case _:
                return self.refuse(op, advice.no_layer(op))

    def refuse(self, op: Op, finding: Diagnostic) -> Feed:
        """Record a finding and go on with a tensor of the right shape."""
        self.findings.append(finding)
        shape = _shape(op.type.shape)
        made = Input(TensorType((1, *shape), "i8", op.type.scale), name=op.name, loc=op.loc)
        return Feed((made,), shape, flat=len(op.type.shape) == 2)

    def input(self, op: Input) -> Feed:
        """Return an input of the network: values are loaded in any shape."""
        shape = _shape(op.type.shape)
        made = replace(op, value_type=op.type.with_shape((1, *shape)))
        self.ops.append(made)
        return Feed((made,), shape, flat=len(op.type.shape) == 2)

    def tensor(self, op: Op) -> Feed:
        """Return the op's value as one tensor in memory, by a layer of its own if need be."""
        feed = self.feeds[op]
        if feed.plain:
            return feed
        self.wanted.add(op)
        stored = self.store(feed, op)
        self.feeds[op] = stored
        return stored

    def store(self, feed: Feed, op: Op) -> Feed:
        """Return a feed as a tensor, written by a layer that only prepares it."""
        if feed.parts > 1 and feed.pool is not None and not self.eltwise_pools(feed):
            base = replace(feed, pool=None, pool_first=True, shape=_unpooled(feed))
            stored = self.store(base, op)
            feed = replace(stored, pool=feed.pool, shape=feed.shape)
        fields = {**feed.fields(), "name": op.name, "loc": op.loc}
        made: ai8x.Layer
        if self.copies_by_weights(feed):
            weight = self.add(layer_weight(feed.shape[0]))
            made = ai8x.Conv2d(weight=weight, output_shift=OUTPUT_SHIFT, **fields)  # type: ignore[arg-type] # fields of a layer
        else:
            made = ai8x.Passthrough(**fields)  # type: ignore[arg-type] # fields of a layer
        self.layer(made)
        return Feed((made,), feed.shape, flat=feed.flat)

    def eltwise_pools(self, feed: Feed) -> bool:
        """Whether a layer can combine and pool at once."""
        if self.multipass_limit(feed):
            return False
        return feed.pool_first or feed.parts <= self.device.max_operands_pool_last

    def copies_by_weights(self, feed: Feed) -> bool:
        """Whether a layer without operator cannot write this, so that identity weights must.

        It writes each group's channels closely packed into the same group, and pools more than 64
        channels only to one pixel (POOL-MP-PASS).
        """
        if feed.parts == 1 and any(x.type.shape[1] % 4 for x in feed.xs[:-1]):
            return True
        passes = passes_of(feed.shape[0], self.device)
        many = passes > self.device.max_pool_passes and feed.pixels > 1
        return feed.pool is not None and many

    def multipass_limit(self, feed: Feed) -> bool:
        """Whether several operands of several passes allow nothing else in the layer (ELT-MP)."""
        if not self.device.has("multipass-eltwise-limit"):
            return False
        return feed.parts > 1 and passes_of(feed.shape[0], self.device) > 1

    # Layers

    def add(self, made: ai8x.Constant) -> ai8x.Constant:
        """Record a constant."""
        self.ops.append(made)
        return made

    def layer(self, made: ai8x.Layer) -> ai8x.Layer:
        """Record a layer."""
        self.ops.append(made)
        return made

    def constant(self, op: Op, shape: tuple[int, ...] = ()) -> ai8x.Constant:
        """Return weights or biases, in another shape if one is given."""
        assert isinstance(op, q.Constant)
        array = op.value.array.reshape(shape) if shape else op.value.array
        known = self.constants.get(op)
        if known is not None and known.value.array.shape == array.shape:
            return known
        data = op.value if not shape else Data(array)
        made = ai8x.Constant(data, op.element, op.scale, name=op.name, loc=op.loc)
        self.constants[op] = made
        return self.add(made)

    def weighted(self, op: Weighted, feed: Feed, shape: tuple[int, ...] = ()) -> dict[str, object]:
        """Return the fields of a layer with the weights of `op`."""
        return {
            **feed.fields(),
            "weight": self.constant(op.weight, shape),
            "bias": None if op.bias is None else self.constant(op.bias),
            "output_shift": op.output_shift,
            "activation": op.activation,
            "wide": op.wide,
            "name": op.name,
            "loc": op.loc,
        }

    def result(self, made: ai8x.Layer, *, flat: bool = False) -> Feed:
        """Return a new layer as a feed."""
        self.layer(made)
        _, *shape = made.type.shape
        return Feed((made,), (shape[0], shape[1], shape[2]), flat=flat)

    def operator_feed(self, op: Weighted, *, pools: bool = True, operands: bool = True) -> Feed:
        """Return what a layer with weights reads; its preparation must suit the operator."""
        feed = self.feeds[op.x]
        if feed.parts > 1:
            bias_clash = op.bias is not None and not self.device.has("eltwise-conv-bias")
            clash = bias_clash or not operands or self.multipass_limit(feed)
            if clash or (feed.pool is not None and not self.eltwise_pools(feed)):
                feed = self.tensor(op.x)
        if feed.pool is not None and not pools:
            feed = self.tensor(op.x)
        if isinstance(op, q.Conv) and op.groups > 1 and feed.has_holes:
            feed = self.tensor(op.x)
        return feed

    def conv(self, op: q.Conv) -> Feed:
        """Return a convolution as a layer."""
        kernel, geometry = op.kernel, op.geometry
        if set(geometry.strides) != {1}:
            return self.refuse(op, advice.strides(op))
        pad = (geometry.pads[0], geometry.pads[1])
        sequence = op.x.type.shape[3] == 1 and kernel[1] == 1 and kernel[0] > 1
        if not sequence and kernel not in self.device.kernel_sizes_2d:
            return self.refuse(op, advice.kernel(op, self.device))
        if not sequence and set(geometry.dilations) != {1}:
            return self.refuse(op, advice.dilation(op, self.device))
        fits = pad == geometry.pads[2:] and max(pad) <= self.device.max_pad
        if not fits or any(p >= k for p, k in zip(pad, kernel, strict=True) if p):
            return self.refuse(op, advice.padding(op, self.device))
        if sequence:
            return self.conv1d(op, pad)
        if op.groups > 1 and not (self.device.has("depthwise") and depthwise(op)):
            return self.refuse(op, advice.groups(op))
        feed = self.operator_feed(op)
        fields = self.weighted(op, feed)
        return self.result(ai8x.Conv2d(pad=pad, groups=op.groups, **fields))  # type: ignore[arg-type] # fields of a layer

    def conv1d(self, op: q.Conv, pad: tuple[int, int]) -> Feed:
        """Return a convolution along the rows of one column as a layer."""
        device, length = self.device, op.kernel[0]
        dilation = op.geometry.dilations[0]
        reach = (length - 1) * dilation + 1
        if length > device.max_kernel_1d:
            return self.refuse(op, advice.kernel(op, self.device))
        wide = reach > device.max_stretched_kernel_1d
        too_far = dilation > device.max_dilation_1d or length > device.max_kernel_1d_on_2d
        if wide and (too_far or pad[0] or op.groups > 1):
            return self.refuse(op, advice.dilation(op, self.device))
        if op.groups > 1 and not (device.has("depthwise") and depthwise(op)):
            return self.refuse(op, advice.groups(op))
        passes = passes_of(op.x.type.shape[1], device)
        if pad[0] and passes > 1 and not device.has("conv1d-multipass-pad"):
            if length != 3 or dilation > 1:
                return self.refuse(op, advice.padding(op, self.device))
            return self.column(op, pad)
        feed = self.operator_feed(op, pools=not wide, operands=False)
        if feed.raw_columns != 1 or (wide and not feed.is_whole):
            feed = self.tensor(op.x)
        fields = self.weighted(op, feed, op.weight.type.shape[:3])
        layer = ai8x.Conv1d(pad=pad, dilation=(dilation, 1), groups=op.groups, **fields)  # type: ignore[arg-type] # fields of a layer
        return self.result(layer)

    def column(self, op: q.Conv, pad: tuple[int, int]) -> Feed:
        """Return three taps along the rows as the middle column of a 3x3 window."""
        assert isinstance(op.weight, q.Constant)
        fields = self.weighted(op, self.operator_feed(op))
        array = np.pad(op.weight.value.array, ((0, 0), (0, 0), (0, 0), (1, 1)))
        element: Element = "i2" if op.weight.element == "bin" else op.weight.element
        wider = element != op.weight.element
        weight = ai8x.Constant(Data(array), element, op.weight.scale, name=op.weight.name)
        fields |= {"weight": self.add(weight), "output_shift": op.output_shift + wider}
        return self.result(ai8x.Conv2d(pad=(pad[0], 1), **fields))  # type: ignore[arg-type] # fields of a layer

    def transposed(self, op: q.ConvTranspose) -> Feed:
        """Return a transposed convolution as a layer; the weights are turned by 180 degrees."""
        g = op.geometry
        extra = op.output_padding or (0, 0)
        stride = self.device.transposed_stride
        native = (
            op.kernel in self.device.kernel_sizes_transposed
            and g.strides == (stride, stride)
            and extra == (self.device.transposed_output_pad,) * 2
            and g.pads[:2] == g.pads[2:]
            and max(g.pads) <= self.device.max_pad
        )
        if not native or set(g.dilations) != {1} or op.groups > 1:
            return self.refuse(op, advice.transposed(op))
        feed = self.operator_feed(op, pools=False)
        fields = self.weighted(op, feed)
        fields["weight"] = self.turned(op.weight)
        layer = ai8x.ConvTranspose2d(pad=(g.pads[0], g.pads[1]), **fields)  # type: ignore[arg-type] # fields of a layer
        return self.result(layer)

    def turned(self, op: Op) -> ai8x.Constant:
        """Return C x M x 3 x 3 weights as the kernel memory holds them, M x C, rotated."""
        assert isinstance(op, q.Constant)
        array = op.value.array[:, :, ::-1, ::-1].swapaxes(0, 1)
        return self.add(ai8x.Constant(Data(array), op.element, op.scale, name=op.name, loc=op.loc))

    def linear(self, op: q.Linear) -> Feed:
        """Return a matrix as a layer: on one pixel, flattened, or as a window on all pixels."""
        feed = self.operator_feed(op)
        channels, rows, columns = feed.shape
        outputs = op.weight.type.shape[0]
        if feed.pixels == 1:
            return self.result(ai8x.Linear(**self.weighted(op, feed)), flat=True)  # type: ignore[arg-type] # fields of a layer
        whole = (outputs, channels, rows, columns)
        if (rows, columns) == (3, 3):
            return self.result(ai8x.Conv2d(**self.weighted(op, feed, whole)), flat=True)  # type: ignore[arg-type] # fields of a layer
        if feed.raw_columns == 1 and rows <= self.device.max_kernel_1d and feed.parts == 1:
            fields = self.weighted(op, feed, whole[:3])
            return self.result(ai8x.Conv1d(**fields), flat=True)  # type: ignore[arg-type] # fields of a layer
        if not feed.joined:
            feed = self.tensor(op.x)
        why = self.too_large(feed)
        if why:
            return self.refuse(op, advice.linear(op, feed.shape, why, self.device))
        return self.result(ai8x.Linear(flatten=True, **self.weighted(op, feed)), flat=True)  # type: ignore[arg-type] # fields of a layer

    def too_large(self, feed: Feed) -> str:
        """Return why a feed cannot be flattened, or nothing (FLAT-HW, FLAT-SIZE)."""
        channels, device = feed.shape[0], self.device
        if feed.pixels > device.max_flatten_pixels:
            return f"{feed.pixels} pixels, the limit is {device.max_flatten_pixels}"
        if channels * feed.pixels > device.max_flatten_inputs:
            return f"the limit is {device.max_flatten_inputs} values"
        passes = passes_of(channels, device)
        if channels % (passes * (4 if passes > 1 else 1)):
            return f"{channels} channels do not fill {passes} passes"
        return ""

    def eltwise(self, op: Eltwise) -> Feed:
        """Return an element-wise operation in front of its reader."""
        if len(op.xs) > self.device.max_operands:
            return self.refuse(op, advice.operands(op, self.device))
        operands = self.operands(op)
        found = combined(op.operation, [self.feeds[x] for x in operands])
        if found is None or (found.pool is not None and not self.eltwise_pools(found)):
            found = combined(op.operation, [self.tensor(x) for x in operands])
        assert found is not None
        return found

    def operands(self, op: Eltwise) -> Sequence[Op]:
        """Return the operands, where their order does not matter in the order of their writing.

        Then two layers that combine the same tensors read them from the same place.
        """
        if isinstance(op, q.Sub):
            return op.xs
        order = {x: number for number, x in enumerate(self.feeds)}
        return sorted(op.xs, key=lambda x: order[x])

    def pool(self, op: q.MaxPool | q.AveragePool) -> Feed:
        """Return a pool in front of its reader."""
        finding = advice.pool(op, self.device)
        if finding is not None:
            return self.refuse(op, finding)
        feed = self.feeds[op.x]
        g = op.geometry
        single = op.x.type.shape[3] == 1
        strides = (g.strides[0],) * 2 if single else g.strides
        average = isinstance(op, q.AveragePool) and op.kernel != (1, 1)
        pool = ai8x.Pool(
            (op.kernel[0], op.kernel[1]),
            strides,
            average,
            g.dilations if set(g.dilations) != {1} else (),
            isinstance(op, q.AveragePool) and op.rounding and average,
        )
        shape = _shape(op.type.shape)
        if feed.pool is not None:
            feed = self.tensor(op.x)
        behind = feed.pooled(pool, shape)
        if behind.parts > 1 and not self.eltwise_pools(behind):
            behind = self.tensor(op.x).pooled(pool, shape)
        return behind

    def concat(self, op: q.Concat) -> Feed:
        """Return tensors side by side, or one below the other."""
        feeds = [self.feeds[x] for x in op.xs]
        make = {1: joined, 2: stacked}.get(op.axis)
        flat = any(feed.flat and feed.pixels > 1 for feed in feeds)
        equal = len({feed.shape[0] for feed in feeds}) == 1
        if make is None or flat or (op.axis == 2 and not equal):
            return self.refuse(op, advice.join(op))
        found = make(feeds)
        if found is None:
            found = make([self.joinable(x, op.axis) for x in op.xs])
        assert found is not None
        return replace(found, flat=feeds[0].flat, turn=op.turn)

    def joinable(self, op: Op, axis: int) -> Feed:
        """Return what can be joined: tensors, or tensors side by side already."""
        feed = self.feeds[op]
        return feed if axis == 1 and feed.joined else self.tensor(op)

    def reshape(self, op: q.Reshape) -> Feed:
        """Return the same values in a shape that needs no moving."""
        feed = self.feeds[op.x]
        shape = op.type.shape
        after = _shape(shape)
        if len(shape) == 2 and (feed.flat or feed.shape[0] * feed.pixels == after[0]):
            return replace(feed, flat=True)
        if after == feed.shape:
            return replace(feed, flat=len(shape) == 2)
        if after[0] == feed.shape[0]:
            if feed.pool or feed.parts > 1 or feed.gather != "channels" or feed.turn:
                feed = self.tensor(op.x)
            return replace(feed, view=after, shape=after, flat=False)
        source = feed.xs[0]
        given = isinstance(source, Input) and source in self.ops
        if feed.plain and isinstance(source, Input) and given and self.sole_reader(op):
            made = replace(source, value_type=source.type.with_shape((1, *after)))
            self.ops[self.ops.index(source)] = made
            return Feed((made,), after)
        return self.refuse(op, advice.reshape(op))

    def sole_reader(self, op: Op) -> bool:
        """Whether only this op reads its operand."""
        return self.readers.get(op.operands[0], 0) == 1

    readers: dict[Op, int] = field(default_factory=dict)

    def slice(self, op: q.Slice) -> Feed:
        """Return rows without the first and the last ones."""
        feed = self.feeds[op.x]
        shape = op.x.type.shape
        whole = all(
            (start, end, step) == (0, size, 1)
            for axis, (start, end, step, size) in enumerate(
                zip(op.starts, op.ends, op.steps, shape, strict=True)
            )
            if axis != 2
        )
        if len(shape) != 4 or not whole or op.steps[2] != 1:
            return self.refuse(op, advice.cut(op))
        if not feed.joined:
            feed = self.tensor(op.x)
        crop = (op.starts[2], shape[2] - op.ends[2])
        return replace(feed, crop=crop, shape=_shape(op.type.shape))


def depthwise(op: q.Conv) -> bool:
    """Whether each channel has a kernel of its own, and only one."""
    return op.groups == op.x.type.shape[1] == op.weight.type.shape[0]


def _unpooled(feed: Feed) -> Shape:
    made = ai8x.Passthrough(xs=feed.xs, **{k: v for k, v in feed.fields().items() if k != "xs"})  # type: ignore[arg-type] # fields of a layer
    return made.in_shape


def _shape(shape: Sequence[int]) -> Shape:
    """Return the channels, rows and columns that a tensor of any rank lies in."""
    rest = (*shape[1:], 1, 1, 1)
    return rest[0], rest[1], rest[2]
