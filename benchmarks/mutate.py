"""The vendor's networks with a few things changed, by the thousand: proven, or refused by rules.

    python benchmarks/mutate.py --count 2000 --device max78000 --seed 0

Each network is compiled by its files. What is accepted must give the interpreter's answer on the
register engine, every so-manieth also as firmware on the emulated core; what is refused must leave
with 1 or 2 and name rules. Prints every network that does neither, by its seed, and a summary with
the rules by number. `--seed N --count 1 --keep DIR` leaves the files of one. Needs the vendor's
vectors (AI8XC_GOLDEN).
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fuzz.described import judged
from fuzz.mutations import mutant
from golden_corpus import NO_VECTORS, golden_folder


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--device", default="max78000")
    parser.add_argument("--seed", type=int, default=0, help="that of the first network")
    parser.add_argument("--firmware", type=int, default=10, help="each so-manieth as firmware")
    parser.add_argument("--keep", type=Path, help="folder for the files of the last network")
    return parser.parse_args()


def main() -> int:
    """Run all seeds; 0 when every network gets what it should."""
    args = arguments()
    if golden_folder() is None:
        sys.exit(NO_VECTORS)
    kinds: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    start, busy = time.monotonic(), time.process_time()
    for seed in range(args.seed, args.seed + args.count):
        random = Random(seed)
        made = mutant(random, args.device)
        firmware = ("firmware",) if args.firmware and seed % args.firmware == 0 else ()
        with tempfile.TemporaryDirectory() as work:
            folder = args.keep or Path(work)
            folder.mkdir(parents=True, exist_ok=True)
            found = judged(made, random, folder, ("registers", *firmware))
        kinds[found.kind] += 1
        rules.update(found.rules)
        if found.kind == "broken" or args.keep:
            flags = " ".join(made.flags)
            print(f"seed {seed}: {made.base} {made.changes} {flags}\n  {found.kind} {found.why}")
            sys.stdout.flush()
    seconds, busy = time.monotonic() - start, time.process_time() - busy
    print(f"{args.count} on {args.device} from seed {args.seed}: {dict(kinds)} "
          f"({seconds:.0f} s, {busy:.0f} s of the processor)")  # fmt: skip
    print(", ".join(f"{rule} {count}" for rule, count in rules.most_common()))
    return 1 if kinds["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
