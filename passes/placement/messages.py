"""Why a network does not fit: which memory, by how much, who holds it, and what would help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.dialects.shapes import dims
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Diagnostic, declare
from ai8xc.passes.placement.bounds import bytes_bound, columns_bound
from ai8xc.passes.placement.problem import WORD, Problem, Tensor
from ai8xc.passes.placement.search import Solution

DATA_FULL = declare(
    "AX120",
    "the data memory is too small: {needed} bytes are needed in one of the memories of {limit}",
    """Four processors share one data memory. Every tensor lies at the same offset in all memories
    it touches, four bytes a pixel and pass, from the layer that writes it to the last that reads
    it. The note names the tensors that are live where the most is needed.""",
)
KERNELS_FULL = declare(
    "AX121",
    "the kernel memory is too small: {needed} columns are needed on a processor that has {limit}",
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


def explain(problem: Problem, solution: Solution) -> Iterator[Diagnostic]:
    """Yield what does not fit in the best placement that was found."""
    device = problem.device
    if solution.offsets.peak > device.data_memory_bytes:
        yield _data(problem, solution)
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


def _proof(bound: int, limit: int, unit: str) -> str:
    if bound > limit:
        return f"no placement exists: at least {bound} {unit} are needed in any of them"
    return f"the search found no placement, although {bound} {unit} are the least that is needed"


def _data(problem: Problem, solution: Solution) -> Diagnostic:
    device = problem.device
    limit = device.data_memory_bytes
    bound, at = bytes_bound(problem)
    layer = problem.layers[min(max(at, 0), len(problem.layers) - 1)]
    live = sorted(
        (t for t in problem.tensors.values() if t.first <= at <= t.last),
        key=lambda t: -t.extent(problem.step(t.op)),
    )
    held = ", ".join(_sized(t, problem) for t in live)
    needed = max(solution.offsets.peak, bound)
    factor = -(-needed // limit)
    largest = live[0]
    pixels = max(1, largest.pixels // factor)
    help = (
        f"`{largest.op.name}` would fit with about {pixels} of its {largest.pixels} pixels: "
        "pool earlier or feed a smaller input"
    )
    return DATA_FULL.at(
        layer,
        needed=needed,
        limit=limit,
        notes=(_proof(bound, limit, "bytes"), f"live at `{layer.name}`: {held}"),
        help=help,
    )


def _sized(tensor: Tensor, problem: Problem) -> str:
    shape = dims(tensor.op.type.shape[1:])
    return f"`{tensor.op.name}` {shape} ({tensor.extent(problem.step(tensor.op))} bytes)"


def _kernels(problem: Problem, solution: Solution) -> Diagnostic:
    device = problem.device
    limit = device.kernel_columns
    needs = [(problem.columns(layer), layer) for layer in problem.layers]
    needs.sort(key=lambda pair: -pair[0])
    bound = columns_bound(problem)
    columns, largest = needs[0]
    held = ", ".join(f"`{layer.name}` {count}" for count, layer in needs if count)
    help = f"give `{largest.name}` fewer output channels"
    if isinstance(largest, ai8x.Weighted) and largest.weight_bits > 1:
        bits = largest.weight_bits // 2
        help = f"{bits}-bit weights in `{largest.name}` would save {columns // 2} columns"
    return KERNELS_FULL.at(
        largest,
        needed=solution.columns.highest,
        limit=limit,
        notes=(_proof(bound, limit, "columns"), f"columns by layer: {held}"),
        help=help,
    )
