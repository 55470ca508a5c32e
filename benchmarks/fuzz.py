"""Random networks by the thousand: legal ones must be proven, illegal ones refused by their rule.

    python benchmarks/fuzz.py --count 2000 --device max78000 --seed 0
    python benchmarks/fuzz.py --count 2000 --device max78000 --seed 0 --illegal

Prints every network that is not, by its seed, and a summary. The networks depend on the seed
alone: `--seed N --count 1` repeats one, `--print` shows it as text. Of the illegal networks, every
second one breaks a rule of hardware layers, which is asked of the catalogue of rules.
"""

import argparse
import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.illegal import illegal
from fuzz.illegal_layers import illegal_layers
from fuzz.networks import legal
from fuzz.verdict import verdict

from ai8xc.device import Device, load_device
from ai8xc.ir.diag import errors
from ai8xc.ir.printer import print_graph
from ai8xc.rules.catalogue import check


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--device", default="max78000")
    parser.add_argument("--seed", type=int, default=0, help="that of the first network")
    parser.add_argument("--illegal", action="store_true", help="networks that break one rule")
    parser.add_argument("--print", action="store_true", help="show the networks")
    return parser.parse_args()


def legal_verdict(seed: int, device: Device, show: bool) -> tuple[bool, str]:
    """Whether a legal network is proven, and what was said."""
    graph = legal(Random(seed), device)
    if show:
        print(print_graph(graph))
    found = verdict(graph, device.name)
    return found.kind == "proven", f"{found.kind} {found.why}"


def illegal_verdict(seed: int, device: Device, show: bool) -> tuple[bool, str]:
    """Whether an illegal network is refused by its rule and no other, and what was said."""
    hardware = seed % 2 == 1
    rule, graph = (illegal_layers if hardware else illegal)(Random(seed), device)
    if show:
        print(print_graph(graph))
    if hardware:
        rules = {finding.rule.id for finding in errors(check(graph, device))}
        return rules == {rule}, f"{rule} expected, found {sorted(rules)}"
    found = verdict(graph, device.name)
    right = (found.kind, found.rules) == ("refused", (rule,))
    return right, f"{rule} expected, {found.kind} {found.why}"


def main() -> int:
    """Run all seeds; 0 when every network gets what it should."""
    args = arguments()
    device = load_device(args.device)
    judge = illegal_verdict if args.illegal else legal_verdict
    wrong = 0
    start = time.monotonic()
    for seed in range(args.seed, args.seed + args.count):
        try:
            right, said = judge(seed, device, args.print)
        except Exception as error:
            right, said = False, f"crashed: {type(error).__name__}: {error}"
        if not right:
            wrong += 1
            print(f"seed {seed}: {said}", flush=True)
    kind = "illegal" if args.illegal else "legal"
    seconds = time.monotonic() - start
    last = args.seed + args.count - 1
    print(
        f"{kind} on {device.name}, seeds {args.seed} to {last}: "
        f"{args.count - wrong} as they should be, {wrong} not ({seconds:.0f} s)"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
