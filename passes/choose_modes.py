"""Layers that run faster: the places of data and kernels are chosen anew, so that they can.

Order of importance (placement): cycles come before the peak of the data memory and before the
highest kernel column, so both may grow, as long as everything fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import errors
from ai8xc.ir.passes import Pass, PassContext, register
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.allocate_kernels import replace_places
from ai8xc.passes.hardware import network as _network  # noqa: F401 - makes the facts known
from ai8xc.passes.hardware.layer import first_bit
from ai8xc.passes.layers.limits import passes_of
from ai8xc.passes.placement import columns, modes, offsets
from ai8xc.passes.placement.places import read_offset
from ai8xc.passes.placement.problem import Conflict, Problem, state
from ai8xc.passes.placement.search import THOROUGH, Search
from ai8xc.rules.catalogue import check

Changes = dict[ai8x.Layer, dict[str, object]]
"""New values for fields of the places of some layers."""


@register
@dataclass(frozen=True)
class ChooseModes(Pass):
    """Let 3x3 convolutions read ahead and compute four outputs at once (MAX78002).

    Tensors move in the data memories so that as many layers as possible write to other parts of
    them than they read from, and kernels so that every fourth output has its own in a memory of
    its own. Processors stay. What does not fit so runs as it did: no network fails by it. Either
    mode can be left out.
    """

    readahead: bool = True
    calcx4: bool = True

    name: ClassVar[str] = "choose-modes"
    needs: ClassVar[frozenset[str]] = frozenset({"ai8x", "placed"})

    def run(self, graph: Graph, ctx: PassContext) -> Graph:
        """Return the graph with modes, offsets and kernel columns changed, nothing else."""
        device = ctx.need(Device)
        if self.readahead and device.has("readahead"):
            graph = _reading_ahead(graph, device)
        if self.calcx4 and device.has("calcx4"):
            graph = _four_at_once(graph, device)
        return graph


def _reading_ahead(graph: Graph, device: Device) -> Graph:
    layers = [layer for layer in modes.ahead(graph, device) if not layer.mode.readahead]
    if not layers:
        return graph
    in_place = _writes_in_place(graph, device)
    problem = _problem(graph, device, in_place=in_place)
    wanted = [layer for layer in layers if problem.separable(layer)]

    def fit(names: Sequence[str]) -> Graph | None:
        tried = _with_modes(graph, names, device, readahead=True)
        problem = _problem(tried, device, in_place=in_place)
        found = offsets.solve(problem, _starts(problem), THOROUGH)
        if found.peak > device.data_memory_bytes:
            return None
        changed = replace_places(tried, _moved(problem, found.of))
        return None if _broken(changed, device) - _broken(graph, device) else changed

    return modes.most([layer.name for layer in wanted], fit)[1] or graph


def _four_at_once(graph: Graph, device: Device) -> Graph:
    wanted = [layer for layer in modes.four_at_once(graph, device) if not layer.mode.calcx4]

    def fit(names: Sequence[str]) -> Graph | None:
        tried = _with_modes(graph, names, device, calcx4=True)
        search = Search(_problem(tried, device))
        found = columns.solve(search.strips(_starts(search.problem)), device, THOROUGH)
        if found.excess:
            return None
        layers = search.problem.layers
        stored: Changes = {layers[n]: {"kernel_start": at} for n, at in found.of.items()}
        changed = replace_places(tried, stored)
        if not _biases_fit(changed, device) and _biases_fit(graph, device):
            return None
        return None if _broken(changed, device) - _broken(graph, device) else changed

    return modes.most([layer.name for layer in wanted], fit)[1] or graph


def _problem(graph: Graph, device: Device, *, in_place: bool = False) -> Problem:
    """Return the problem of a placed graph."""
    chw = next((layer.xs[0] for layer in ai8x.layers(graph.ops) if layer.mode.chw), None)
    problem = state(graph, device, chw, in_place=in_place)
    if isinstance(problem, Conflict):
        raise LookupError(f"`{problem.layer.name}` is placed, and no layout serves it")
    return problem


def _writes_in_place(graph: Graph, device: Device) -> bool:
    """Whether there is no room unless layers write over their own input."""
    problem = _problem(graph, device)
    return offsets.solve(problem, _starts(problem), THOROUGH).peak > device.data_memory_bytes


def _starts(problem: Problem) -> dict[Op, int]:
    """Return the first processor of each tensor of a placed graph."""
    found: dict[Op, int] = {}
    for layer in problem.layers:
        place, slots = layer.place, problem.slots(layer)
        if place is None or slots is None:
            raise LookupError(f"layer `{layer.name}` is not placed")
        for x, slot in zip(layer.xs, slots, strict=True):
            found[x] = first_bit(place.processors) + slot.processors
        found[layer] = first_bit(place.output_processors)
    return found


def _with_modes(graph: Graph, names: Sequence[str], device: Device, **changes: bool) -> Graph:
    """Return the graph with modes of some layers changed."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        current = op.with_operands(new)
        if isinstance(current, ai8x.Layer) and op.name in names:
            mode = replace(current.mode, **changes)
            several = passes_of(current.in_shape[0], device) > 1
            tcalc = mode.tcalc or ("readahead" in changes and several)
            current = replace(current, mode=replace(mode, tcalc=tcalc))
        new[op] = current
    outputs = [new[op] for op in graph.outputs]
    return make_graph(graph.name, graph.level, new.values(), outputs, graph.attributes)


def _moved(problem: Problem, places: Mapping[Op, int]) -> Changes:
    """Return the offsets of layers whose tensors lie elsewhere now."""
    return {
        layer: {"in_offset": read_offset(layer, problem, places), "out_offset": places[layer]}
        for layer in problem.layers
    }


def _broken(graph: Graph, device: Device) -> set[tuple[str, str]]:
    """Return the rules that a graph breaks, and where."""
    return {
        (found.rule.id, found.subject.name if found.subject else "")
        for found in errors(check(graph, device))
    }


def _biases_fit(graph: Graph, device: Device) -> bool:
    """Whether all biases fit: those of four outputs at once begin at a multiple of four."""
    ctx = PassContext(device)
    AllocateBiases().run(graph, ctx)
    return not errors(ctx.diagnostics)
