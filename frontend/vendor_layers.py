"""From a described layer to a layer of the hardware level, with the user's placement.

Source: hardware semantics, sections 3.3 to 3.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ai8xc.dialects import ai8x
from ai8xc.dialects.shapes import SHAPES
from ai8xc.frontend import vendor_rules as rules
from ai8xc.frontend.vendor_description import Description
from ai8xc.frontend.vendor_misfits import Keys, beyond_limits
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_sequence import INPUT, Step
from ai8xc.frontend.vendor_weights import LayerWeights
from ai8xc.ir.core import Input, Mask, Op
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType
from ai8xc.rules.description import of_sizes

Pair = tuple[int, int]
Shape = tuple[int, int, int]
BYPASS_SHIFT: Final = 7
"""The shift of a layer whose kernel is bypassed, where none is given: the sum as it is."""
PROCESSORS: Final = 64
OF_SHAPES: Final = frozenset({SHAPES, of_sizes.DIM_DATA, of_sizes.DIM_CAT, of_sizes.DIM_CATPIX})
"""Rules that compare the shape of data with what a layer reads."""


@dataclass
class LayerBuilder:
    """Builds the layers of a run in order; `findings` tell what is wrong with them.

    `following` are the layers that the description puts behind each, also where the run ends
    before; `last` is the number of the layer that ends it. `misread` names the layers whose data
    have not the size that they read.
    """

    description: Description
    options: NetworkOptions
    weights: Mapping[int, LayerWeights]
    following: Mapping[int, Step]
    last: int
    values: dict[int, Op] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)
    misread: set[str] = field(default_factory=set)
    previous: Step | None = None
    guessed: set[Op] = field(default_factory=set)
    """Stand-ins for layers that cannot be built: their shapes mean nothing."""

    def build(self, step: Step) -> Op:
        """Return the layer; a stand-in of the right size where something is wrong with it."""
        before = len(self.findings)
        made: Op | None = None
        layer = _Layer(self, step)
        try:
            made = layer.make()
            self.findings += _empty(made)
        except Rejected as rejected:
            known = len(self.findings) > before
            self.findings += [x for x in rejected.diagnostics if not (known and x.rule is SHAPES)]
            self.findings += layer.limits()
            made = None
        if step.place in self.description.broken:
            del self.findings[before:]
        elif not self.guessed.isdisjoint(layer.xs):
            self.findings[before:] = [x for x in self.findings[before:] if x.rule not in OF_SHAPES]
            self.misread.add(step.name)
        if made is None:
            made = Input(TensorType(layer.guess(), "i8"), name=step.name)
            self.guessed.add(made)
        self.values[step.index] = made
        self.previous = step
        return made


def _empty(layer: Op) -> list[Diagnostic]:
    """Return a finding about an output without pixels; raises `Rejected` where there is none."""
    rows, columns = layer.type.shape[2:]
    if min(rows, columns) > 0:
        return []
    size = f"{rows}x{columns}"
    raise Rejected([of_sizes.DIM_OUT0.at(layer, layer=layer.name, size=size)])


class _Layer:
    """One layer on its way."""

    def __init__(self, builder: LayerBuilder, step: Step) -> None:
        self.builder = builder
        self.options = builder.options
        self.step = step
        self.layer = step.layer
        self.weights = builder.weights.get(step.index)
        self.xs = self.inputs()
        self.size = self.in_size()
        self.channels = self.in_channels()

    # What is read

    def inputs(self) -> tuple[Op, ...]:
        values = self.builder.values
        if self.step.inputs is not None:
            return tuple(values[i] for i in self.step.inputs if i in values)
        previous = self.builder.previous
        return (values[INPUT if previous is None else previous.index],)

    def in_size(self) -> Pair:
        """Return rows and columns of the data before pooling."""
        if self.layer.in_dim is not None:
            return self.layer.in_dim
        if not self.xs:
            return (1, 1)
        rows, columns = self.xs[0].type.shape[2:]
        top, bottom = self.layer.in_crop or (0, 0)
        return max(1, rows - top - bottom), columns

    @property
    def flat(self) -> bool:
        return self.step.operator == "conv1d" or (
            self.step.operator == "none" and self.size[1] == 1
        )

    def pooled(self) -> Pair:
        """Return rows and columns behind pooling, 1 at least."""
        pool = self.pool()
        if pool is None:
            return self.size
        dilations = pool.dilations or (1, 1)
        numbers = zip(self.size, pool.kernel, pool.strides, dilations, strict=True)
        rows, columns = (max(1, (n + t - p - d + 1) // t) for n, p, t, d in numbers)
        return rows, columns

    def in_channels(self) -> int:
        """Return the channels of one operand, before flattening (section 3.4)."""
        given = self.layer.in_channels
        weights = None if self.weights is None else self.weights.in_channels
        if given is None and self.step.inputs is not None:
            first, *rest = [x.type.shape[1] for x in self.xs] or [0]
            if self.step.eltwise:
                return first // (1 if rest else self.step.parts) if weights is None else weights
            return first if self.stacked() else first + sum(rest)
        found = given if given is not None else weights
        if found is None:
            total = self.xs[0].type.shape[1]
            return total // self.step.parts if self.builder.previous is None else total
        if self.layer.flatten:
            rows, columns = self.pooled()
            return max(1, found // (rows * columns))
        return found

    def stacked(self) -> bool:
        """Whether the inputs are joined pixel by pixel."""
        return len({x.type.shape[2:] for x in self.xs}) > 1

    # What is done

    def guess(self) -> tuple[int, ...]:
        """Return the shape of the output as far as it is known."""
        outputs = self.layer.out_channels if self.layer.bypass else None
        channels = outputs or self.channels
        if self.weights is not None:
            channels = self.weights.array.shape[0]
        rows, columns = (1, 1) if self.layer.flatten else self.pooled()
        return (1, max(1, channels), rows, columns)

    def make(self) -> Op:
        """Return the layer; raises `Rejected` where it cannot be one."""
        self.check()
        common = self.gathered() | {
            "pool": self.pool(),
            "pool_first": self.layer.pool_first,
            "place": self.place(),
            "mode": self.mode(),
            "name": self.step.name,
            "loc": self.loc(),
        }
        if self.step.operator == "none":
            return ai8x.Passthrough(**common)
        return self.weighted(common)

    def gathered(self) -> dict[str, Any]:
        """Return what is read; where that does not fit, data of the size that the layer wants."""
        if not self.channels:
            raise Rejected([of_sizes.CHAN_ZERO.at(self.loc("in_channels"), layer=self.step.name)])
        self.check_pool()
        self.check_axes()
        try:
            return self.gathering()
        except Rejected as rejected:
            self.builder.findings += rejected.diagnostics
            self.builder.misread.add(self.step.name)
        parts = self.step.parts
        shape = (1, self.channels * parts, *self.size)
        given = Input(TensorType(shape, "i8"), name=f"{self.step.name}.input")
        return {"xs": (given,), "parts": parts, "eltwise": self.step.eltwise or "none"}

    def check_pool(self) -> None:
        """Raise `Rejected` where no window fits into the data."""
        pool = self.pool()
        if pool is None:
            return
        dilations = pool.dilations or (1, 1)
        numbers = zip(self.size, pool.kernel, pool.strides, dilations, strict=True)
        if min((n + t - p - d + 1) // t for n, p, t, d in numbers) < 1:
            size, window = ("x".join(map(str, pair)) for pair in (self.size, pool.kernel))
            values = {"layer": self.step.name, "pool": window, "size": size}
            raise Rejected([rules.tell(of_sizes.DIM_POOL0, self.loc(), values)])

    def check_axes(self) -> None:
        """Data of one and of two axes between layers, where `in_dim` does not say what is meant."""
        if self.layer.in_dim is not None:
            return
        if self.step.operator == "conv1d" and self.size[1] > 1:
            size = "x".join(map(str, self.size))
            raise Rejected([of_sizes.DIM_2D1D.at(self.loc(), layer=self.step.name, size=size)])
        plane = self.step.operator in ("conv2d", "convtranspose2d")
        if plane and any(isinstance(x, ai8x.Conv1d) for x in self.xs):
            self.builder.findings.append(of_sizes.DIM_1D2D.at(self.loc(), layer=self.step.name))

    def weighted(self, common: dict[str, Any]) -> Op:
        weights = self.weights
        if weights is None:
            if not self.layer.bypass:
                raise Rejected(())  # the missing weights are reported once, for the network
            weights = self.bypassed()
        common |= weights.fields(self.loc()) | self.behind(weights)
        if self.step.operator == "linear" or self.layer.flatten:
            return ai8x.Linear(**common, flatten=self.layer.flatten)
        pad = 1 if self.layer.pad is None else self.layer.pad
        groups = self.layer.groups
        if self.step.operator == "convtranspose2d":
            return ai8x.ConvTranspose2d(**common, pad=(pad, pad), groups=groups)
        dilation = self.layer.dilation or (1, 1)
        if self.step.operator == "conv1d":
            dilations = (dilation[0], 1)
            return ai8x.Conv1d(**common, pad=(pad, 0), dilation=dilations, groups=groups)
        return ai8x.Conv2d(**common, pad=(pad, pad), dilation=dilation, groups=groups)

    def bypassed(self) -> LayerWeights:
        """Return weights that stand for a kernel that is not used."""
        kernel = self.layer.kernel_size or (3, 3)
        outputs = self.layer.out_channels or self.channels
        inputs = max(1, self.channels // self.layer.groups)
        if self.step.operator == "linear":
            kernel = ()
        return LayerWeights("bypass", np.ones((outputs, inputs, *kernel), np.int8), 8)

    def behind(self, weights: LayerWeights) -> dict[str, Any]:
        """Return what comes behind the accumulator."""
        layer = self.layer
        shift = layer.output_shift
        if shift is None and not layer.bypass:
            shift = weights.output_shift
        if shift is None:
            shift = BYPASS_SHIFT if layer.bypass else 0
        activation = layer.activate or "none"
        return {
            "output_shift": shift,
            "activation": "none" if self.options.ignore_activation else activation,
            "wide": self.output_width() == 32,
            "bypass": layer.bypass,
        }

    def output_width(self) -> int:
        width = self.options.output_width
        last = self.step.index == self.builder.last
        return width if width is not None and last else self.layer.output_width

    def gathering(self) -> dict[str, Any]:
        """Return the fields that say how the inputs become operands."""
        parts, crop = self.step.parts, self.layer.in_crop or (0, 0)
        wanted: Shape = (self.channels * parts, *self.size)
        fields: dict[str, Any] = {
            "xs": self.xs,
            "parts": parts,
            "eltwise": self.step.eltwise or "none",
        }
        shapes = [x.type.shape[1:] for x in self.xs]
        if not shapes:
            raise Rejected(())  # references to layers that do not run are reported by themselves
        if self.stacked():
            self.check_stack(shapes, crop)
            return fields | {"gather": "pixels", "view": wanted}
        if self.step.eltwise and len({channels for channels, *_ in shapes}) > 1:
            named = ", ".join(str(channels) for channels, *_ in shapes)
            place, name = self.loc("in_sequences"), self.step.name
            raise Rejected([of_sizes.IN_CAT_CHAN.at(place, layer=name, sizes=named)])
        _, rows, columns = shapes[0]
        gathered = (sum(channels for channels, *_ in shapes), rows - sum(crop), columns)
        if np.prod(gathered) != np.prod(wanted):
            key = next((k for k in ("in_dim", "in_channels") if self.gives(k)), "")
            raise Rejected([self.misfit(gathered, wanted, key)])
        fields["crop"] = crop
        return fields | ({"view": wanted} if gathered != wanted else {})

    def misfit(self, gathered: Sequence[int], wanted: Shape, key: str) -> Diagnostic:
        found, needed = ("x".join(map(str, shape)) for shape in (gathered, wanted))
        notes = () if self.weights is None or self.gives("in_channels") else self.weights.notes
        values = {"layer": self.step.name, "given": found, "wanted": needed}
        return rules.tell(of_sizes.DIM_DATA, self.loc(key), values, notes)

    def gives(self, key: str) -> bool:
        return key in self.layer.model_fields_set

    def check_stack(self, shapes: Sequence[tuple[int, ...]], crop: Pair) -> None:
        if self.layer.in_dim is None:
            named = ", ".join("x".join(map(str, shape)) for shape in shapes)
            place, name = self.loc("in_sequences"), self.step.name
            raise Rejected([of_sizes.DIM_CAT.at(place, layer=name, sizes=named)])
        found = sum(rows * columns for _, rows, columns in shapes)
        rows, columns = self.layer.in_dim
        wanted = (rows + sum(crop)) * columns
        if found != wanted or len({channels for channels, *_ in shapes}) > 1:
            values = {"layer": self.step.name, "count": found, "wanted": wanted}
            raise Rejected([rules.tell(of_sizes.DIM_CATPIX, self.loc("in_dim"), values)])

    def pool(self) -> ai8x.Pool | None:
        layer = self.layer
        window = layer.max_pool or layer.avg_pool or (1, 1)
        strides = layer.pool_stride or (1, 1)
        dilations = layer.pool_dilation or (1, 1)
        if self.step.operator == "conv1d":
            window, strides, dilations = (window[0], 1), (strides[0], 1), (dilations[0], 1)
        elif self.flat:
            window = (window[0], 1)
        if window == (1, 1) and strides == (1, 1):
            return None
        return ai8x.Pool(
            window,
            strides,
            average=layer.max_pool is None and layer.avg_pool is not None,
            dilations=() if dilations == (1, 1) else dilations,
            rounding=self.options.average_rounding and self.step.operator != "conv1d",
        )

    # Where and how

    def place(self) -> ai8x.Place:
        layer = self.layer
        groups = None if self.options.ignore_bias_groups else layer.bias_group
        return ai8x.Place(
            Mask(layer.processors),
            self.output_processors(),
            in_offset=self.in_offset(),
            out_offset=layer.out_offset or 0,
            read_gap=layer.read_gap,
            write_gap=layer.write_gap,
            bias_group=groups[0] if groups else None,
            slot=self.step.index - self.options.skip_layers,
        )

    def in_offset(self) -> int:
        previous = self.builder.previous
        if previous is None and self.options.input_offset is not None:
            return self.options.input_offset
        if self.layer.in_offset is not None:
            return self.layer.in_offset
        return 0 if previous is None else previous.layer.out_offset or 0

    def output_processors(self) -> Mask:
        network = self.builder.description.network
        following = self.builder.following.get(self.step.index)
        if following is None and network.output_map is not None:
            return Mask(network.output_map)
        if self.layer.output_processors is not None:
            return Mask(self.layer.output_processors)
        if following is not None:
            return Mask(following.layer.processors)
        outputs = self.guess()[1]
        passes = -(-outputs // PROCESSORS)
        lanes = -(-outputs // passes)
        if passes > 1:
            lanes = min(-(-lanes // 4) * 4, PROCESSORS)
        return Mask((1 << lanes) - 1)

    def mode(self) -> ai8x.Mode:
        layer, options = self.layer, self.options
        streaming = layer.streaming or self.step.index in options.streaming_layers
        readahead = layer.readahead or options.readahead
        tcalc = layer.tcalc
        if tcalc is None:
            tcalc = readahead and self.channels > PROCESSORS
        return ai8x.Mode(
            chw=layer.data_format in ("chw", "big"),
            streaming=streaming and not options.ignore_streaming,
            readahead=readahead,
            calcx4=layer.calcx4 or options.calcx4,
            tcalc=tcalc,
            on_hit=self.step.on_hit,
            simulated=self.step.simulated,
        )

    # What is wrong with it

    def loc(self, key: str = "") -> Loc:
        return self.builder.description.loc(self.step.place, key, node=self.step.name)

    def check(self) -> None:
        """Report what does not go together in the layer's own keys.

        Raises `Rejected` where there is no layer with such keys.
        """
        keys = Keys(self.step, self.options, self.weights, self.channels, self.output_width() == 32)
        impossible = [*keys.impossible()]
        for key, rule, value in (*impossible, *keys.misfits()):
            self.builder.findings.append(rules.tell(rule, self.loc(key), keys.values(value)))
        if impossible:
            raise Rejected(())

    def limits(self) -> Iterator[Diagnostic]:
        """Yield what the keys say beyond the device's limits, for a layer that cannot be made."""
        device = self.options.device
        if device is not None:
            for key, rule, values in beyond_limits(self.layer, self.pooled(), device):
                told = {"layer": self.step.name, "device": device.name, "d": device, **values}
                yield rules.tell(rule, self.loc(key), told)
