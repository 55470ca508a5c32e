"""Random networks by the thousand: legal ones must be proven.

    python benchmarks/fuzz.py --count 2000 --device max78000 --seed 0

Prints every network that is not, by its seed, and a summary. The networks depend on the seed
alone: `--seed N --count 1` repeats one, `--print` shows it as text.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.networks import legal
from fuzz.verdict import verdict

from ai8xc.device import load_device
from ai8xc.ir.printer import print_graph


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--device", default="max78000")
    parser.add_argument("--seed", type=int, default=0, help="that of the first network")
    parser.add_argument("--print", action="store_true", help="show the networks")
    return parser.parse_args()


def main() -> int:
    """Run all seeds; 0 when every network is proven."""
    args = arguments()
    device = load_device(args.device)
    kinds: Counter[str] = Counter()
    start = time.monotonic()
    for seed in range(args.seed, args.seed + args.count):
        graph = legal(Random(seed), device)
        if args.print:
            print(print_graph(graph))
        found = verdict(graph, device.name)
        kinds[found.kind] += 1
        if found.kind != "proven":
            print(f"seed {seed}: {found.kind} {found.why}", flush=True)
    shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    seconds = time.monotonic() - start
    last = args.seed + args.count - 1
    print(f"legal on {device.name}, seeds {args.seed} to {last}: {shown} ({seconds:.0f} s)")
    return 0 if set(kinds) == {"proven"} else 1


if __name__ == "__main__":
    sys.exit(main())
