"""The placement problem: what ties the places of tensors together.

Tensors whose places follow from each other form a class. `Ties` keeps two kinds of them: the first
processor (in processors) and the offset (in bytes), each known within a class up to a constant.
Source: memory description, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import gcd

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Input, Op
from ai8xc.passes.placement.in_place import distance
from ai8xc.passes.placement.kernels import is_grouped, kernel_columns
from ai8xc.passes.placement.slots import Slot, slots_of
from ai8xc.passes.placement.tensors import WORD, Tensor, tensors_of


@dataclass(frozen=True)
class Conflict:
    """A tensor that cannot lie where this reader wants it, or a layer that cannot write it so.

    `operand` numbers the tensor; None: the layer itself. `hopeless`: no copy helps.
    """

    layer: ai8x.Layer
    operand: int | None = None
    interleaved: bool = False
    hopeless: bool = False


@dataclass
class Ties:
    """Union-find with distances: `parent[t]` is (another, how far t lies behind it)."""

    parent: dict[Op, tuple[Op, int]] = field(default_factory=dict)

    def find(self, op: Op) -> tuple[Op, int]:
        """Return the root of a class and how far the tensor lies behind it."""
        distance = 0
        while op in self.parent:
            op, step = self.parent[op]
            distance += step
        return op, distance

    def tie(self, op: Op, to: Op, distance: int) -> bool:
        """Place `op` at `distance` behind `to`; False where they are tied otherwise."""
        (root, d), (other, e) = self.find(op), self.find(to)
        if root is other:
            return d == e + distance
        self.parent[root] = (other, e + distance - d)
        return True

    def copy(self) -> Ties:
        """Return ties that can be changed apart from these."""
        return Ties(dict(self.parent))


@dataclass
class Problem:
    """Tensors by op, their ties and steps; `layers` are in order of execution.

    `bits` are widths of weights to try instead of those that layers have. `in_place`: layers may
    write over their own input, where they provably have read it. `ahead` are those that read the
    next data while they compute: they write to other parts of the memories than they read from.
    """

    device: Device
    layers: Sequence[ai8x.Layer]
    tensors: Mapping[Op, Tensor]
    starts: Ties = field(default_factory=Ties)
    offsets: Ties = field(default_factory=Ties)
    steps: dict[Op, int] = field(default_factory=dict)
    bits: Mapping[ai8x.Layer, int] = field(default_factory=dict)
    in_place: bool = False
    ahead: AbstractSet[Op] = frozenset()

    def apart(self, one: Op, two: Op) -> bool:
        """Whether two tensors must lie in different parts of the data memories.

        A layer that reads ahead reads the one and writes the other (rule RDA-INST), or streams
        through the one while other layers stream through the other, or to it (RDA-STREAM).
        """
        if not self.ahead:
            return False
        if any(y in self.ahead and x in y.operands for x, y in ((one, two), (two, one))):
            return True
        buffers = [x for x in (one, two) if self.tensors[x].buffer]
        written = [x for x in (one, two) if isinstance(x, ai8x.Layer) and x.mode.streaming]
        together = len({*buffers, *written}) > 1
        return together and any(x in y.operands for x in buffers for y in self.ahead)

    def separable(self, layer: ai8x.Layer) -> bool:
        """Whether a layer's input and output can lie in different parts of the data memories."""
        part = self.device.data_subinstance_bytes
        taken = -(-self.tensors[layer].extent(self.step(layer)) // part)
        root = self.offsets.find(layer)[0]
        taken += max(-(-self.tensors[x].extent(self.step(x)) // part) for x in layer.xs)
        tied = any(self.offsets.find(x)[0] is root for x in layer.xs)
        return not tied and taken * part <= self.device.data_memory_bytes

    def distance(self, source: Op, target: Op) -> int | None:
        """Return by how many bytes the output of a layer must begin in front of its input.

        None where the two do not share a word: no layer reads the one and writes the other, the
        one is read later, or no proof allows it.
        """
        if not self.in_place or not isinstance(target, ai8x.Layer) or source not in target.xs:
            return None
        one, other = self.tensors[source], self.tensors[target]
        gaps = self.step(source) > 1 or self.step(target) > 1
        if gaps or one.last != other.first or one.chw or one.buffer or other.buffer:
            return None
        return distance(target, self.device)

    @cached_property
    def classes(self) -> list[list[tuple[Tensor, int]]]:
        """Tensors whose offsets are tied, each with its distance from the first; not to be changed.

        Known once all layers are served.
        """
        found: dict[Op, list[tuple[Tensor, int]]] = {}
        for op, tensor in self.tensors.items():
            root, distance = self.offsets.find(op)
            found.setdefault(root, []).append((tensor, distance))
        return list(found.values())

    def step(self, op: Op) -> int:
        """Return the words from one word of a tensor to the next."""
        return self.steps.get(op, 1)

    def slots(self, layer: ai8x.Layer) -> list[Slot] | None:
        """Return where the layer wants its tensors, None where no layout serves it."""
        return slots_of(layer, self.device)

    def source_mask(self, layer: ai8x.Layer, starts: Mapping[Op, int]) -> int:
        """Return the processors that read a layer's input."""
        mask = 0
        for x in layer.xs:
            mask |= self.tensors[x].mask(starts[x])
        return mask

    def columns(self, layer: ai8x.Layer) -> int:
        """Return the kernel columns of a layer."""
        return kernel_columns(layer, self.device, self.bits.get(layer))

    @staticmethod
    def kernel_key(layer: ai8x.Layer) -> object:
        """Return what layers that share their kernels have in common, besides processors."""
        if not isinstance(layer, ai8x.Weighted) or not isinstance(layer.weight, ai8x.Constant):
            return layer
        flat = isinstance(layer, ai8x.Linear) and layer.flatten
        return layer.opcode, layer.weight.value, layer.weight.element, layer.in_shape[0], flat


def state(
    graph: Graph, device: Device, chw: Op | None = None, *, in_place: bool = False
) -> Problem | Conflict:
    """Return the problem of a graph, or the first reader that no layout serves.

    `chw` is the input to be loaded one channel a memory.
    """
    layers = ai8x.layers(graph.ops)
    tensors = tensors_of(graph, layers, device, chw)
    ahead = frozenset(layer for layer in layers if layer.mode.readahead)
    problem = Problem(device, layers, tensors, in_place=in_place, ahead=ahead)
    for op, tensor in problem.tensors.items():
        gapless = isinstance(op, Input) or tensor.buffer  # loaded or streamed
        if tensor.lead or tensor.tail or gapless:
            problem.steps[op] = 1
    for interleaved in (False, True):
        for layer in layers:
            conflict = _serve(problem, layer, interleaved=interleaved)
            if conflict is not None:
                return conflict
    for layer in layers:
        if _keeps_processors(layer) and not _keep(problem, layer) and not is_grouped(layer):
            return Conflict(layer)
    return problem


def _keep(problem: Problem, layer: ai8x.Layer) -> bool:
    """Tie the output of a layer to its input; False, and nothing changed, if it cannot be."""
    starts = problem.starts.copy()
    if not starts.tie(layer, layer.xs[0], 0):
        return False
    if _width(replace(problem, starts=starts), layer) > problem.device.processors:
        return False
    problem.starts = starts
    return True


def _keeps_processors(layer: ai8x.Layer) -> bool:
    """Whether a layer writes to the processors it reads from, where that can be.

    Layers without operator stay within their group (rule PASS-MAP); depthwise ones may move, but
    are slower then (DW-MOVE).
    """
    if isinstance(layer, ai8x.Passthrough):
        return True
    return is_grouped(layer)


def _serve(problem: Problem, layer: ai8x.Layer, *, interleaved: bool) -> Conflict | None:
    """Tie the tensors that a layer reads; return the first that cannot lie as it must."""
    slots = problem.slots(layer)
    if slots is None:
        return None if interleaved else Conflict(layer, hopeless=True)
    if any(slot.step not in (1, None) for slot in slots) != interleaved:
        return None
    for number, (x, slot) in enumerate(zip(layer.xs, slots, strict=True)):
        if slot.step is not None and problem.steps.get(x, slot.step) != slot.step:
            return Conflict(layer, number, interleaved)
        limit = problem.device.write_step_limit
        if slot.step is not None and slot.step * problem.tensors[x].passes >= limit:
            return Conflict(layer, hopeless=True)
    for number, (x, slot) in enumerate(zip(layer.xs, slots, strict=True)):
        if not _tie(problem, x, layer.xs[0], slot):
            return Conflict(layer, number, interleaved)
    return None


def _tie(problem: Problem, op: Op, first: Op, slot: Slot) -> bool:
    """Tie one tensor to the first of its reader; False, and nothing changed, if it cannot be."""
    starts, offsets = problem.starts.copy(), problem.offsets.copy()
    steps = dict(problem.steps)
    if slot.step is not None:
        steps[op] = slot.step
    if not starts.tie(op, first, slot.processors) or not offsets.tie(op, first, slot.bytes):
        return False
    after = replace(problem, starts=starts, offsets=offsets, steps=steps)
    if op is first and (slot.processors or slot.bytes):
        return False
    if _clash(after, op):
        return False
    problem.starts, problem.offsets, problem.steps = starts, offsets, steps
    return True


def _class_of(problem: Problem, op: Op) -> Iterator[Op]:
    root, _ = problem.offsets.find(op)
    for other in problem.tensors:
        if problem.offsets.find(other)[0] is root:
            yield other


def _clash(problem: Problem, op: Op) -> bool:
    """Whether two tensors of the class would share words while both are live, or do not fit."""
    members = list(_class_of(problem, op))
    distances = {m: problem.starts.find(m)[1] for m in members}
    low = min(distances.values())
    width = max(distances[m] + problem.tensors[m].width for m in members) - low
    if max(width, _width(problem, op)) > problem.device.processors:
        return True
    return any(
        _overlap(problem, a, b, distances, low)
        for i, a in enumerate(members)
        for b in members[i + 1 :]
    )


def _width(problem: Problem, op: Op) -> int:
    """Return the processors that all tensors tied to this one span together."""
    root, _ = problem.starts.find(op)
    found = ((other, problem.starts.find(other)) for other in problem.tensors)
    spans = [(at, at + problem.tensors[o].width) for o, (top, at) in found if top is root]
    return max(end for _, end in spans) - min(start for start, _ in spans)


def _overlap(problem: Problem, a: Op, b: Op, distances: Mapping[Op, int], low: int) -> bool:
    s, t = problem.tensors[a], problem.tensors[b]
    if s.first > t.last or t.first > s.last or (s.first == t.first and s.first >= 0):
        return False
    per_memory = problem.device.processors_per_memory
    if not s.memories(distances[a] - low, per_memory) & t.memories(distances[b] - low, per_memory):
        return False
    offset, other = problem.offsets.find(a)[1], problem.offsets.find(b)[1]
    steps = problem.step(a), problem.step(b)
    if (offset - other) % (WORD * gcd(*steps)):
        return False
    return offset < other + t.extent(steps[1]) and other < offset + s.extent(steps[0])
