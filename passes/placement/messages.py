"""Why a network does not fit: which memory, by how much, who holds it, and what would help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Graph, Input
from ai8xc.ir.diag import Cure, Diagnostic, declare
from ai8xc.passes.layers.limits import lanes_of
from ai8xc.passes.placement.bounds import bytes_bound, columns_bound
from ai8xc.passes.placement.problem import Problem
from ai8xc.passes.placement.search import Search, Solution
from ai8xc.passes.placement.tensors import WORD, Tensor

DATA_FULL = declare(
    "AX120",
    "the data memory is too small: one of the memories needs {needed} bytes and has {limit}",
    """Four processors share one data memory. Every tensor lies at the same offset in all memories
    it touches, four bytes a pixel and pass, from the layer that writes it to the last that reads
    it. The note names the tensors that are live where the most is needed.""",
)
KERNELS_FULL = declare(
    "AX121",
    "the kernel memory is too small: a processor needs {needed} columns and has {limit}",
    """Each processor holds the kernels of its input channels in columns of nine bytes. All
    processors of a layer use the same columns. Fewer outputs, narrower weights or smaller kernels
    need fewer of them.""",
)

STREAMS = declare(
    "AX122",
    "the input streams through a FIFO, {count} layers deep: in data memory it would not fit",
    """A streaming layer begins while its input still arrives and keeps only some rows of it. Its
    cycles are an estimate, about one and a half times those of the layer without streaming.
    `load_input` pushes the input after the start.""",
    "note",
)
STREAM_BIAS = declare(
    "AX123",
    "layers that stream have biases, which {device} may compute wrongly: {layers}",
    """The vendor warns that biases of streaming layers may be wrong on silicon of the MAX78000; the
    emulator adds them. Leave the biases out of the layers that stream, or fold or pool the input so
    that none has to.""",
    "warning",
)


LISTED: Final = 8
"""Layers that a finding names."""

LEAST_BITS: Final = 2
"""Bits of the narrowest weights that are suggested: 1 bit has no positive weight."""

_MADE: Final = re.compile(r"(_(all|apart|inner|larger|spread\d*|piece\d+))+$")
"""What passes append to the names of layers that do a part of the user's."""


def explain(
    problem: Problem, solution: Solution, cures: Iterable[Cure] = ()
) -> Iterator[Diagnostic]:
    """Yield what does not fit in the best placement that was found.

    `cures` are known to make the data fit.
    """
    device = problem.device
    if solution.offsets.peak > device.data_memory_bytes:
        yield _data(problem, solution, cures)
    if solution.columns.excess:
        yield _kernels(problem, solution)


def streaming(graph: Graph, depth: int, device: Device) -> Iterator[Diagnostic]:
    """Yield what a user should know of a network whose first layers were chosen to stream."""
    layers = ai8x.layers(graph.ops)[:depth]
    names = ", ".join(f"`{layer.name}`" for layer in layers)
    notes = [f"streaming: {names}", *_folding(layers, device)]
    yield STREAMS.at(layers[0], count=depth, notes=notes)
    biased = [x for x in layers if isinstance(x, ai8x.Weighted) and x.bias is not None]
    if biased and not device.has("stream-bias"):
        names = ", ".join(f"`{layer.name}`" for layer in biased)
        yield STREAM_BIAS.at(biased[0], layers=names, device=device.name)


def _folding(layers: Sequence[ai8x.Layer], device: Device) -> Iterator[str]:
    """Yield the way around streaming: fewer pixels of more channels, for the same input."""
    _, channels, rows, columns = layers[0].xs[0].type.shape
    for side in range(2, 9):
        whole = rows % side == 0 and columns % side == 0
        pixels = rows * columns // side**2
        wide = channels * side**2 > device.processors
        if whole and not wide and 2 * pixels * WORD <= device.data_memory_bytes:
            folded = dims((channels * side**2, rows // side, columns // side))
            yield (
                f"a network for the input folded by {side}x{side} ({folded}) needs no streaming "
                f"and about 1/{side**2} of the cycles of these layers: give the first "
                f"convolution stride {side}, and loading folds the input"
            )
            return


def _proof(bound: int, found: int, limit: int, unit: str) -> str:
    """Return whether no placement can exist, or none was found."""
    if bound > limit:
        over = f"{bound - limit:,} {unit} too many"
        return f"no placement exists: any of them needs at least {bound:,} {unit}, {over}"
    return (
        f"no placement was found: {bound:,} {unit} are the least that any of them needs, "
        f"the best found needs {found:,}"
    )


def _data(problem: Problem, solution: Solution, cures: Iterable[Cure]) -> Diagnostic:
    device = problem.device
    limit, found = device.data_memory_bytes, solution.offsets.peak
    bound, at = bytes_bound(problem)
    layer = problem.layers[min(max(at, 0), len(problem.layers) - 1)]
    live = sorted(
        (t for t in problem.tensors.values() if t.first <= at <= t.last),
        key=lambda t: -t.extent(problem.step(t.op)),
    )
    held = ", ".join(_sized(t, problem) for t in live)
    notes = (_proof(bound, found, limit, "bytes"), f"live at `{layer.name}`: {held}")
    needed = max(bound, limit + 1) if bound > limit else found
    cures = (*cures, *_smaller(problem, live, needed))
    return DATA_FULL.at(layer, needed=needed, limit=limit, notes=notes, cures=cures)


def _smaller(problem: Problem, live: Sequence[Tensor], needed: int) -> Iterator[Cure]:
    """Yield what makes the data fit: a smaller input, fewer channels where they take passes."""
    limit = problem.device.data_memory_bytes
    sources = [op for op in problem.tensors if isinstance(op, Input)]
    if len(sources) == 1:
        _, _, rows, columns = sources[0].type.shape
        share = limit / needed
        shape = dims((int(rows * share),))
        if columns > 1:
            side = share**0.5
            shape = dims((int(rows * side), int(columns * side)))
        yield Cure(
            f"feed an input of about {shape} values instead of "
            f"{dims((rows, columns) if columns > 1 else (rows,))}",
            data_bytes=limit - needed,
            accuracy="to be retrained",
        )
    for tensor in live:
        freed = tensor.extent(1) - tensor.extent(1) // tensor.passes
        if tensor.passes > 1 and needed - freed <= limit and not isinstance(tensor.op, Input):
            yield Cure(
                f"give `{tensor.op.name}` up to {problem.device.processors} channels, "
                f"which frees {freed:,} bytes",
                data_bytes=-freed,
                accuracy="to be retrained",
            )
            return


def _sized(tensor: Tensor, problem: Problem) -> str:
    shape = dims(tensor.op.type.shape[1:])
    return f"`{tensor.op.name}` {shape} ({tensor.extent(problem.step(tensor.op)):,} bytes)"


def _kernels(problem: Problem, solution: Solution) -> Diagnostic:
    device = problem.device
    limit, found = device.kernel_columns, solution.columns.highest
    layers = sorted(
        (layer for layer in problem.layers if problem.columns(layer)),
        key=lambda layer: -_kernel_bytes(problem, layer),
    )
    bound = columns_bound(problem)
    held = ", ".join(
        f"`{layer.name}` {problem.columns(layer)} on {_lanes(problem, layer)} processors"
        for layer in layers[:LISTED]
    )
    notes = (_proof(bound, found, limit, "columns"), f"the largest layers, in columns: {held}")
    return KERNELS_FULL.at(
        layers[0],
        needed=bound if bound > limit else found,
        limit=limit,
        notes=notes,
        cures=_narrower(problem, layers),
    )


def _in_model(layer: ai8x.Layer) -> str:
    """Return the name of the user's layer that a layer is made of."""
    return _MADE.sub("", layer.name)


def _lanes(problem: Problem, layer: ai8x.Layer) -> int:
    return lanes_of(layer.in_shape[0], problem.device)


def _kernel_bytes(problem: Problem, layer: ai8x.Layer) -> int:
    lanes, size = _lanes(problem, layer), problem.device.kernel_bytes_per_column
    return problem.columns(layer) * lanes * size


def _narrower(problem: Problem, layers: Sequence[ai8x.Layer]) -> Iterator[Cure]:
    """Yield the narrower weights, of the largest layers first, with which the kernels fit.

    Each step halves the weights that take the most; a search shows that what is left fits.
    """
    bits: dict[ai8x.Layer, int] = {}
    weighted = [layer for layer in layers if isinstance(layer, ai8x.Weighted)]
    while True:
        smaller = replace(problem, bits=bits)
        possible = columns_bound(smaller) <= problem.device.kernel_columns
        if bits and possible and not Search(smaller).run().columns.excess:
            break
        wide = [layer for layer in weighted if bits.get(layer, layer.weight_bits) > LEAST_BITS]
        if not wide:
            yield Cure("give the largest layers fewer channels", accuracy="to be retrained")
            return
        most = max(wide, key=lambda layer: _kernel_bytes(smaller, layer))
        bits[most] = bits.get(most, most.weight_bits) // 2
    freed = {x: _kernel_bytes(problem, x) - _kernel_bytes(smaller, x) for x in bits}
    text = " and ".join(
        f"{n}-bit weights in `{layer.name}` free {freed[layer]:,} bytes"
        for layer, n in bits.items()
    )
    names = ",".join(f"{_in_model(layer)}={n}" for layer, n in bits.items())
    yield Cure(
        f"{text}: `--weight-bits {names}`",
        kernel_bytes=-sum(freed.values()),
        cycles=0,
        accuracy="a little lower; training with these bits keeps most of it",
    )
