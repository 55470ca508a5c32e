"""Processors, offsets and kernel columns for every layer: the whole placement in one search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import Settings
from ai8xc.ir.core import Graph, Mask, Op, make_graph
from ai8xc.ir.diag import Cure
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.hardware import network as _network  # noqa: F401 - makes the facts known
from ai8xc.passes.layers import streams
from ai8xc.passes.placement.bounds import bytes_bound
from ai8xc.passes.placement.kernels import is_grouped
from ai8xc.passes.placement.messages import explain, streaming
from ai8xc.passes.placement.places import read_offset
from ai8xc.passes.placement.problem import Conflict, Problem, state
from ai8xc.passes.placement.search import Search, Solution


@register
@dataclass(frozen=True)
class PlaceLayers(Pass):
    """Choose processors and offsets of all tensors and the first kernel column of all layers.

    What fits in some placement found by a bounded search is placed; otherwise the finding says
    which memory lacks how much, and whether no placement at all can exist. The network's input is
    loaded with one channel a memory (CHW) or four (HWC), whichever fits and needs less.
    """

    name: ClassVar[str] = "place-layers"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x"})
    gives: ClassVar[frozenset[str]] = frozenset({"placed", "kernels-allocated"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with a place in every layer."""
        device = ctx.need(Device)
        found, why = _fitting(graph, device)
        if found.solution.excess:
            more = (f"streaming does not help: {why}",) if why else ()
            cures = () if found.data_fits else _narrow(found, device)
            for finding in explain(found.problem, found.solution, cures):
                ctx.report(replace(finding, notes=(*finding.notes, *more)))
            return graph
        if found.depth:
            for finding in streaming(found.graph, found.depth, device):
                ctx.report(finding)
        return _placed(found)


@dataclass(frozen=True)
class _Attempt:
    """The best placement found of a graph whose first `depth` layers stream."""

    graph: Graph
    depth: int
    problem: Problem
    solution: Solution

    @property
    def data_fits(self) -> bool:
        """Whether the data memories hold all tensors."""
        return self.solution.offsets.peak <= self.problem.device.data_memory_bytes


def _fitting(graph: Graph, device: Device) -> tuple[_Attempt, str]:
    """Return the first attempt that fits, with as few streaming layers as possible.

    Without any, layers write over their own input only where there is no room otherwise.

    Else that without any, and why streaming does not help.
    """
    plain = _attempt(graph, 0, device)
    if plain is not None and plain.data_fits:
        return plain, ""
    over = _attempt(graph, 0, device, in_place=True)
    if over is not None and over.data_fits:
        return over, ""
    why = "what the last streaming layer writes is too large as well"
    for depth in range(1, device.streaming.layers + 2):
        obstacle = streams.obstacle(graph, depth, device)
        if obstacle:
            why = obstacle
            break
        if not streams.cannot_end(graph, depth, device):
            found = _attempt(streams.streamed(graph, depth), depth, device)
            if found is not None and found.data_fits:
                return found, ""
    return plain or _Attempt(graph, 0, *_best(list(_problems(graph, device)))), why


def _narrow(found: _Attempt, device: Device) -> Iterator[Cure]:
    """Yield the cure of 8-bit outputs, if a placement with them is found."""
    graph = found.graph
    wide = [x for x in graph.ops if isinstance(x, ai8x.Weighted) and x.wide]
    if not wide:
        return
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(current, ai8x.Weighted):
            current = replace(current, wide=False)
        new[op] = current
    outputs = [new[op] for op in graph.outputs]
    narrow = make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)
    solution = _fitting(narrow, device)[0].solution
    if not solution.excess:
        names = " and ".join(f"`{layer.name}`" for layer in wide)
        yield Cure(
            f"give {names} in 8 bits instead of 32: `--output-width 8`",
            data_bytes=solution.offsets.peak - found.solution.offsets.peak,
            cycles=0,
            accuracy="outputs in 256 steps",
        )


def _attempt(
    graph: Graph, depth: int, device: Device, *, in_place: bool = False
) -> _Attempt | None:
    """Return the best placement, None where none can exist."""
    problems = [
        problem
        for problem in _problems(graph, device, in_place=in_place)
        if bytes_bound(problem)[0] <= device.data_memory_bytes
    ]
    return _Attempt(graph, depth, *_best(problems)) if problems else None


def _best(problems: Sequence[Problem]) -> tuple[Problem, Solution]:
    found = [(problem, Search(problem).run()) for problem in problems]
    return min(found, key=lambda pair: pair[1].cost)


def _problems(graph: Graph, device: Device, *, in_place: bool = False) -> Iterator[Problem]:
    """Yield the problem of each form in which the input can be loaded."""
    for chw in _input_formats(graph, device):
        problem = state(graph, device, chw, in_place=in_place)
        if isinstance(problem, Conflict):
            raise LookupError(f"`{problem.layer.name}` needs a copy: run insert-copies first")
        yield problem


def _input_formats(graph: Graph, device: Device) -> list[Op | None]:
    """Return None (HWC), and the input where it can be loaded one channel a memory (CHW).

    Only the first layer can read it so, in one pass, one operand, all rows (rules INP-CHW and
    INP-CROP). A matrix on several pixels takes a pass for each of them.
    """
    first = ai8x.layers(graph.ops)[0]
    source = first.xs[0]
    if Settings.of(graph).fifo:
        return [None]
    sole = len(first.xs) == 1 and len(graph.inputs) == 1 and graph.uses[source] == 1
    flat = isinstance(first, ai8x.Linear) and first.flatten  # counts its pixels as passes
    plain = first.parts == 1 and not flat and not any(first.crop)
    weighted = isinstance(first, ai8x.Weighted) and plain
    few = source.type.shape[1] <= device.memories
    flat = isinstance(first, ai8x.Linear) and first.flatten and prod(first.pooled_shape[1:]) > 1
    if not sole or not weighted or not few or flat or is_grouped(first):
        return [None]
    return [None, source] if source in graph.inputs else [None]


def _placed(found: _Attempt) -> Graph:
    graph, problem, solution = found.graph, found.problem, found.solution
    quad = Settings.of(graph).quad
    new: dict[Op, Op] = {}
    numbers: Mapping[Op, int] = {layer: n for n, layer in enumerate(problem.layers)}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(op, ai8x.Layer) and isinstance(current, ai8x.Layer):
            place = _place(op, problem, solution, numbers[op])
            if quad and numbers[op] == 0:  # the others get the same data
                span = (1 << problem.device.processors_per_group) - 1
                place = replace(place, processors=Mask(place.processors & span))
            chw = problem.tensors[op.xs[0]].chw
            current = replace(current, place=place, mode=replace(op.mode, chw=chw))
        new[op] = current
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def _place(layer: ai8x.Layer, problem: Problem, solution: Solution, number: int) -> ai8x.Place:
    first, offsets = layer.xs[0], solution.offsets.of
    slots = problem.slots(layer)
    assert slots is not None
    step = problem.step(first)
    alone = slots[0].step is None
    out = problem.tensors[layer]
    return ai8x.Place(
        Mask(problem.source_mask(layer, solution.starts)),
        Mask(out.mask(solution.starts[layer])),
        in_offset=read_offset(layer, problem, offsets),
        out_offset=offsets[layer],
        read_gap=step - 1 if alone else 0,
        write_gap=problem.step(layer) - 1,
        kernel_start=solution.columns.of.get(number),
    )
