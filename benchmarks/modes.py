"""How many layers read ahead and compute four outputs at once on MAX78002, network by network.

    python benchmarks/modes.py [NETWORK ...]

Compiles the networks of tests/e2e/networks, and those of the vendor where their folder is found,
as if nobody had placed them. Columns: layers; 3x3 convolutions that the modes may serve; layers
that could read ahead where data lie without regard to it; layers that read ahead, and that compute
four outputs at once; the least cycles with and without both: outputs of all layers, one or four a
cycle. No measured cycles of MAX78002 are known; reading comes on top, unless a layer reads ahead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import golden_corpus
from golden_network import case_graph

from ai8xc.device import Device, load_device
from ai8xc.dialects import ai8x
from ai8xc.driver import load, passes_of
from ai8xc.ir.core import Graph, Op, make_graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.passes.cycle_bound import lower_bounds
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.passes.placement import modes
from ai8xc.plugins import load_passes
from ai8xc.rules.catalogue import check_one

NETWORKS = Path(__file__).parents[1] / "tests" / "e2e" / "networks"
HEADS = ("layers", "3x3", "by place", "ahead", "fours", "cycles >=", "without")
WIDTHS = (8, 6, 10, 7, 7, 12, 12)


def main() -> int:
    """Print the table; 0 unless a network that fits without modes does not fit with them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of the names of networks")
    parser.add_argument("--device", default="max78002")
    args = parser.parse_args()
    device = load_device(args.device)
    load_passes()
    total, lost = [0] * len(HEADS), 0
    print(f"{'network':44}" + "".join(f"{h:>{w}}" for h, w in zip(HEADS, WIDTHS, strict=True)))
    for name, graph in networks(args.names, device):
        plain = placed(graph, device, chosen=False)
        fast = placed(graph, device, chosen=True) if plain else None
        if plain is None or fast is None:
            lost += plain is not None
            print(f"{name:44}{'LOST' if plain else 'refused'}")
            continue
        row = counted(fast, plain, device)
        total = [a + b for a, b in zip(total, row, strict=True)]
        print(line(name, row), flush=True)
    print(line("all", total))
    return int(lost > 0)


def line(name: str, row: Sequence[int]) -> str:
    """Return a row of the table."""
    return f"{name:44}" + "".join(f"{n:>{w},}" for n, w in zip(row, WIDTHS, strict=True))


def counted(fast: Graph, plain: Graph, device: Device) -> list[int]:
    """Return the numbers of a network, in the order of the columns."""
    layers = ai8x.layers(fast.ops)
    served = set(modes.ahead(plain, device)) | set(modes.four_at_once(plain, device))
    return [
        len(layers),
        len(served),
        by_place(plain, device),
        sum(layer.mode.readahead for layer in layers),
        sum(layer.mode.calcx4 for layer in layers),
        sum(lower_bounds(fast, device) or ()),
        sum(lower_bounds(plain, device) or ()),
    ]


def by_place(graph: Graph, device: Device) -> int:
    """Return how many layers could read ahead where their data happen to lie."""
    names = {layer.name for layer in modes.ahead(graph, device)}

    def ask(layer: ai8x.Layer) -> ai8x.Layer:
        return replace(layer, mode=replace(layer.mode, readahead=layer.name in names))

    ahead = changed(graph, ask)
    refused = [f.subject.name for f in check_one("RDA-INST", ahead, device) if f.subject]
    return len(names - set(refused))


def placed(graph: Graph, device: Device, *, chosen: bool) -> Graph | None:
    """Return the placed network with modes chosen or without any, None where it is refused."""
    given = str(chosen).lower()
    choose = f"choose-modes{{readahead={given},calcx4={given}}}"
    text = f"insert-copies,place-layers,{choose},check-placement"
    if graph.level == "q":
        text = f"{PIPELINES['layers'].partition(',insert-copies')[0]},{text}"
    try:
        return run_pipeline(graph, passes_of(text), PassContext(device))
    except Rejected:
        return None


def networks(names: list[str], device: Device) -> Iterator[tuple[str, Graph]]:
    """Yield all networks whose names contain one of `names`."""
    for path in sorted(NETWORKS.glob("*.ir")):
        if wanted(path.stem, names):
            yield path.stem, load(path)
    seen = set()
    for entry in golden_corpus.entries():
        name = entry.name.partition("__")[0]
        if entry.device.lower() == device.name and name not in seen and wanted(name, names):
            seen.add(name)
            yield from vendors(name, golden_corpus.Program(entry.path))


def wanted(name: str, names: list[str]) -> bool:
    """Whether a network is asked for."""
    return not names or any(part in name for part in names)


def vendors(name: str, program: golden_corpus.Program) -> Iterator[tuple[str, Graph]]:
    """Yield a network of the vendor that does not stream, as if nobody had placed it."""
    layers = program.meta["layers"]
    follows = all(x["next"] in (-1, i + 1) for i, x in enumerate(layers))
    if follows and not any(x["streaming"] for x in layers):
        graph = case_graph(program.meta, program.arrays)
        yield name, changed(graph, lambda op: replace(op, place=None, mode=ai8x.Mode()))


def changed(graph: Graph, change: Callable[[ai8x.Layer], ai8x.Layer]) -> Graph:
    """Return a graph with other layers."""
    new: dict[Op, Op] = {}
    for op in graph.ops:
        made = op.with_operands(new)
        new[op] = change(made) if isinstance(made, ai8x.Layer) else made
    outputs = [new[op] for op in graph.outputs]
    return make_graph("net", graph.level, new.values(), outputs, graph.attributes)


if __name__ == "__main__":
    sys.exit(main())
