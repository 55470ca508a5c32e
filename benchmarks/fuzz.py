"""Random networks by the thousand: legal ones must be proven, illegal ones refused by their rule.

    python benchmarks/fuzz.py --count 2000 --device max78000 --seed 0
    python benchmarks/fuzz.py --count 2000 --device max78000 --seed 0 --illegal
    python benchmarks/fuzz.py --rules

Prints every network that is not, by its seed, and a summary. The networks depend on the seed
alone: `--seed N --count 1` repeats one, `--print` shows it as text. Illegal networks are integers,
hardware layers, placed layers, layers of impossible sizes, descriptions and ONNX models in turn.
`--rules` prints which rules they break, and of each other one why none of them does.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.breaks import broken, covered
from fuzz.elsewhere import ELSEWHERE
from fuzz.networks import legal
from fuzz.verdict import verdict

from ai8xc.device import Device, load_device
from ai8xc.ir.printer import print_graph


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--device", default="max78000")
    parser.add_argument("--seed", type=int, default=0, help="that of the first network")
    parser.add_argument("--illegal", action="store_true", help="networks that break one rule")
    parser.add_argument("--print", action="store_true", help="show the networks")
    parser.add_argument("--rules", action="store_true", help="show which rules are broken")
    return parser.parse_args()


def show_rules() -> None:
    """Print the table of rules: how each is broken singly, or why it is not."""
    for rule, kinds in sorted(covered().items()):
        print(f"{rule:16} {', '.join(sorted(kinds))}")
    for rule, why in sorted(ELSEWHERE.items()):
        print(f"{rule:16} no: {why}")
    print(f"{len(covered())} rules are broken singly, {len(ELSEWHERE)} are not")


def legal_verdict(seed: int, device: Device, show: bool) -> tuple[bool, str]:
    """Whether a legal network is proven, and what was said."""
    graph = legal(Random(seed), device)
    if show:
        print(print_graph(graph))
    found = verdict(graph, device.name)
    return found.kind == "proven", f"{found.kind} {found.why}"


class Illegal:
    """Judges illegal networks and counts the rules that they break."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules: Counter[str] = Counter()

    def verdict(self, seed: int, device: Device, show: bool) -> tuple[bool, str]:
        """Whether an illegal network is refused by its rule and no other, and what was said."""
        found = broken(seed, device, self.folder)
        if show:
            print(found.shown)
        self.rules[found.rule] += 1
        return found.right, f"{found.rule} expected, found {sorted(found.found)}"


def main() -> int:
    """Run all seeds; 0 when every network gets what it should."""
    args = arguments()
    if args.rules:
        show_rules()
        return 0
    device = load_device(args.device)
    wrong = 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        illegal = Illegal(Path(folder))
        judge = illegal.verdict if args.illegal else legal_verdict
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
    rules = f", {len(illegal.rules)} rules" if args.illegal else ""
    print(
        f"{kind} on {device.name}, seeds {args.seed} to {last}{rules}: "
        f"{args.count - wrong} as they should be, {wrong} not ({seconds:.0f} s)"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
