"""Register programs that this project did not produce, with their known answers.

The folder is optional: the environment variable AI8XC_GOLDEN, or `../shared/golden` beside the
repository. Its README describes the format.
"""

import io
import itertools
import json
import lzma
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
APB_BASE = 0x5000_0000
KERNEL_STRIDE = {"MAX78000": 0x4000, "MAX78002": 0x2_0000}
KERNEL_BYTES = 9
NO_VECTORS = "no vectors: set AI8XC_GOLDEN or provide ../shared/golden"
PER_FEATURE = 3  # sampled programs for each feature of each device


def golden_folder() -> Path | None:
    """The vector folder, None when there is none."""
    candidate = Path(os.environ.get("AI8XC_GOLDEN") or REPOSITORY / ".." / "shared" / "golden")
    return candidate.resolve() if (candidate / "cases").is_dir() else None


@dataclass(frozen=True)
class Entry:
    """One accepted program: its folder and the features it exercises."""

    device: str
    name: str
    features: tuple[str, ...]
    cost: float
    path: Path

    @property
    def id(self) -> str:
        return f"{self.device}-{self.name}"


@cache
def entries() -> tuple[Entry, ...]:
    """Every accepted program, sorted by device and name."""
    root = golden_folder()
    if root is None:
        return ()
    found = [
        Entry(row["device"], row["case"], tuple(row["features"]), row["reference_seconds"],
              root / row["path"])
        for row in json.loads((root / "index.json").read_text())["cases"]
        if row["status"] == "ok"
    ]  # fmt: skip
    for path in (root / "own" / "cases").glob("*/*"):
        meta = json.loads((path / "case.json").read_text())
        if meta["status"] == "ok":
            found.append(Entry(meta["device"], path.name, ("own",), 0.0, path))
    return tuple(sorted(found, key=lambda e: (e.device, e.name)))


def own_entries(status: str = "ok") -> tuple[Entry, ...]:
    """Networks designed for this project, with the same facts; they are in the repository."""
    found = []
    for path in sorted((REPOSITORY / "tests" / "vendor_networks").glob("*/*")):
        meta = json.loads((path / "case.json").read_text())
        if (meta["status"] == "ok") == (status == "ok"):
            found.append(Entry(meta["device"], path.name, ("own",), 0.0, path))
    return tuple(found)


def give_entries(
    metafunc: pytest.Metafunc, sample: Callable[[], Iterable[Entry]], own: Iterable[Entry] = ()
) -> None:
    """Give a test with an `entry` its programs: those of a sample, with `--golden-all` all.

    `own` are in the repository; without the folder, and without them, the test is skipped.
    """
    if "entry" not in metafunc.fixturenames:
        return
    found = entries() if metafunc.config.getoption("--golden-all") else sample()
    chosen: list[object] = list({entry.id: entry for entry in [*found, *own]}.values())
    if not chosen:
        chosen = [pytest.param(None, marks=pytest.mark.skip(reason=NO_VECTORS), id="none")]
    metafunc.parametrize("entry", chosen, ids=lambda entry: entry.id)


def every(step: int) -> tuple[Entry, ...]:
    """Every so-manieth program."""
    return entries()[::step]


def cheapest(always: Callable[[Entry], object]) -> list[Entry]:
    """The cheapest programs of every feature, and those that are wanted always."""
    seen: Counter[tuple[str, str]] = Counter()
    chosen = []
    for entry in sorted(entries(), key=lambda e: (e.cost, e.id)):
        if always(entry):
            chosen.append(entry)
        elif any(seen[entry.device, f] < PER_FEATURE for f in entry.features):
            seen.update((entry.device, f) for f in entry.features)
            chosen.append(entry)
    return sorted(chosen, key=lambda e: e.id)


def covering() -> list[Entry]:
    """A few programs that have every feature between them, cheap ones first."""
    chosen: list[Entry] = []
    for device in KERNEL_STRIDE:
        left = [entry for entry in entries() if entry.device == device]
        wanted = {feature for entry in left for feature in entry.features}
        while wanted:
            best = max(left, key=lambda e: (len(wanted & set(e.features)), -e.cost, e.id))
            wanted -= set(best.features)
            chosen.append(best)
    return sorted(chosen, key=lambda e: e.id)


class Program:
    """The words of one program and nothing else: no layer descriptions."""

    def __init__(self, path: Path) -> None:
        self.meta = json.loads((path / "case.json").read_text())
        self.arrays = _arrays(path, self.meta)
        base, _, variant = path.name.partition("__")
        if any(v in variant for v in ("old-kernel-loader", "fixed-input", "no-kat")):
            self._borrow(path.with_name(base))
        if "apb-base" in variant:
            self._move(int(variant.partition("apb-base_")[2], 16) - APB_BASE)
        if "synthesize-input" in variant:
            self._synthesize()

    def phase(self, name):
        """The register accesses of one generated function: (address, value, mask, kind)."""
        a = self.arrays
        wanted = a["write_phase"] == self.meta["phases"].index(name)
        columns = [a[f"write_{k}"][wanted].tolist() for k in ("addr", "val", "mask", "kind")]
        return list(zip(*columns, strict=True))

    def kernel_runs(self):
        """Runs of consecutive kernels: address of the first, bytes `(n, 9)`."""
        start = 0
        for address, count in self.arrays.get("kern_runs", np.zeros((0, 2), int)).tolist():
            yield address, self.arrays["kern_bytes"][start : start + count]
            start += count

    def blocks(self, kind):
        """Runs of consecutive words of `input`, `kat` or `bias`: address, index range."""
        address = self.arrays.get(f"{kind}_addr", np.zeros(0, np.uint32)).astype(np.int64)
        if not len(address):
            return
        edges = [0, *(np.nonzero(np.diff(address) != 4)[0] + 1).tolist(), len(address)]
        for first, last in itertools.pairwise(edges):
            yield int(address[first]), slice(first, last)

    def _borrow(self, other):
        """Take what this variant leaves out from the same network without the variant's option."""
        arrays = _arrays(other, json.loads((other / "case.json").read_text()))
        for key in ("kern_runs", "kern_bytes", "input_addr", "input_val",
                    "kat_addr", "kat_val", "kat_mask"):  # fmt: skip
            if key in arrays:
                self.arrays.setdefault(key, arrays[key])

    def _move(self, distance):
        """Bring a program that was generated for another base address back."""
        for key in ("write_addr", "input_addr", "bias_addr", "kat_addr"):
            if key in self.arrays:
                self.arrays[key] = self.arrays[key] - np.uint32(distance)
        runs = self.arrays["kern_runs"].astype(np.int64)
        self.arrays["kern_runs"] = runs - np.array([distance, 0])

    def _synthesize(self):
        """Each block of FIFO words is the one before plus a constant (memory.md 5)."""
        flags = self.meta["flags"]
        step = int(flags[flags.index("--synthesize-input") + 1], 16)
        channels, height, width = self.meta["input"]["shape"]
        words = self.arrays["fifo_0"].tolist()
        count = len(words)
        while len(words) < height * width:
            words.append((words[-count] + step) & ((1 << 8 * channels) - 1))
        self.arrays["fifo_0"] = np.array(words, np.uint32)


def _arrays(path: Path, meta) -> dict[str, np.ndarray]:
    with np.load(path / "golden.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, sha in meta.get("blobs", {}).items():
        root = next(p for p in path.resolve().parents if (p / "blobs").is_dir())
        packed = (root / "blobs" / sha[:2] / f"{sha}.npy.xz").read_bytes()
        arrays[name] = np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False)
    return arrays


def load(program: Program, emulator) -> None:
    """Everything before the start: init, kernels, biases, layer registers, input memory."""
    access(program.phase("cnn_init"), emulator)
    stride = KERNEL_STRIDE[program.meta["device"]]
    packed = "--no-mexpress" not in program.meta["flags"]
    for address, kernels in program.kernel_runs():
        if packed:
            write_packed(emulator, address, kernels, stride)
        else:
            emulator.write_block(address, plain_words(kernels))
    for address, where in program.blocks("bias"):
        emulator.write_block(address, program.arrays["bias_val"][where].astype(np.uint32))
    access(program.phase("cnn_configure"), emulator)
    for address, where in program.blocks("input"):
        emulator.write_block(address, program.arrays["input_val"][where])


def start(program: Program, emulator) -> None:
    """The start sequence, then the FIFO words; one-shot programs are continued to the end."""
    access(program.phase("cnn_start"), emulator)
    ports = program.meta.get("fifo_ports") or []
    data = [program.arrays[f"fifo_{port[0]}"].tolist() for port in ports]
    for i in range(max(map(len, data), default=0)):
        for (_, address, status, mask), words in zip(ports, data, strict=True):
            assert emulator.read(status) & mask == 0
            emulator.write(address, words[i])
    if "--one-shot" in program.meta["flags"]:
        for _ in range(program.meta["terminating_layer"]):
            modify(program.meta["misc_ops"], "CNN_ISR", emulator)
            modify(program.meta["misc_ops"], "cnn_continue", emulator)


def access(accesses, emulator) -> None:
    """Register writes, polls and checks in order."""
    for address, value, mask, kind in accesses:
        if kind == 0:
            emulator.write(address, value)
        else:
            assert emulator.read(address) & mask == value


def modify(operations, function, emulator) -> None:
    """The read-modify-write accesses of one generated function."""
    for name, address, operator, value in operations:
        if name == function:
            old = emulator.read(address)
            emulator.write(address, old | value if operator == "|=" else old & value)


def write_packed(emulator, address, kernels, stride) -> None:
    """The default loader: select the start column, then nine bytes per kernel, big endian."""
    first = address & ~(stride - 1) | (address & (stride - 1)) >> 2
    data = kernels.tobytes()
    data += bytes(-len(data) % 4)
    emulator.write_byte(first | 1, 1)
    emulator.write_block(first, np.frombuffer(data, ">u4").astype(np.uint32))


def plain_words(kernels) -> np.ndarray:
    """Four words per kernel, as the plain loader writes them."""
    padded = np.zeros((len(kernels), 4 + KERNEL_BYTES + 3), np.uint8)
    padded[:, 3 : 3 + KERNEL_BYTES] = kernels
    return padded.view(">u4").astype(np.uint32).reshape(-1)


def differing_words(program: Program, emulator) -> int:
    """How many known-answer words the data memories do not hold; all when there is no result."""
    expected = program.arrays
    if not emulator.idle:
        return len(expected["kat_addr"])
    wrong = 0
    for address, where in program.blocks("kat"):
        words = emulator.read_block(address, where.stop - where.start)
        masked = words & expected["kat_mask"][where].astype(np.uint32)
        wrong += int((masked != expected["kat_val"][where]).sum())
    return wrong
