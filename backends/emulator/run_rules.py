"""What must hold for the control registers when a run starts."""

from collections.abc import Iterator

from ai8xc.backends.emulator.decode import Run, decode_layer
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.state import RegisterFile
from ai8xc.backends.emulator.streaming import streams

SRAM_TIMING = 1038  # the only value that is used, registers.md 3.2
FIFO_THRESHOLD = 2  # registers.md 6.2
FAST_FIFO_THRESHOLD = 10
PIXELS_PER_WORD = 4

SHARED_CTL = ("average_round", "streaming", "binary", "quad", "simple1b", "snoop", "one_shot")


def check_run(registers: RegisterFile, run: Run, cleared: set[int], findings: Findings) -> None:
    """Report control registers that contradict each other; `cleared` groups had theirs cleared."""
    rules = (_groups_agree(registers, run), _streaming(registers, run), _fifo(registers, run))
    for rule in rules:
        for message in rule:
            findings.add(Finding("inconsistent", message))
    if registers.field("LCNT_MAX", "last") >= registers.map.register("POST").count:
        findings.add(Finding("control", "the last layer does not exist"))
    must_clear = "clear_registers" in registers.map.register("SRAM_TEST").fields
    missing = sorted(set(run.groups) - cleared)
    if must_clear and missing:
        message = f"the registers of group {missing[0]} were not cleared after power-up"
        findings.add(Finding("control", message))


def _groups_agree(registers: RegisterFile, run: Run) -> Iterator[str]:
    for group in run.groups:
        if registers.word("SRAM", group) != SRAM_TIMING:
            yield f"`SRAM` of group {group} is not {SRAM_TIMING}"
        if registers.word("LCNT_MAX", group) != registers.word("LCNT_MAX", run.master):
            yield f"`LCNT_MAX` of group {group} differs from group {run.master}"
        for field in SHARED_CTL:
            mine = registers.field("CTL", field, run.master)
            if registers.field("CTL", field, group) != mine:
                yield f"`CTL.{field}` of group {group} differs from group {run.master}"
        if group != run.master and not registers.field("CTL", "external_sync", group):
            yield f"`CTL.external_sync` of group {group} is 0: it does not wait for the master"


def _streaming(registers: RegisterFile, run: Run) -> Iterator[str]:
    """The streaming bit says whether any layer streams."""
    if run.streaming or not run.fifo:
        return
    limit = min(registers.map.register("STREAM1").count, run.last + 1)
    for layer in range(run.first + 1, limit):
        if streams(registers, run, layer):
            yield f"layer {layer} streams, `CTL.streaming` is 0"


def _fifo(registers: RegisterFile, run: Run) -> Iterator[str]:
    if not run.fifo:
        return
    if run.fast_fifo:
        if registers.field("FAST_FIFO_CR", "threshold") != FAST_FIFO_THRESHOLD:
            yield f"`FAST_FIFO_CR.threshold` is not {FAST_FIFO_THRESHOLD}"
    else:
        yield from _fifo_control(registers, run)
    layer = decode_layer(registers, run, run.first)
    words = -(-layer.pixels // PIXELS_PER_WORD) if layer.chw else layer.pixels
    exact = not registers.map.has("NXTLYR")  # MAX78002 does not store the number of rows
    for group in run.groups:
        frame = registers.field("IFRM", "words", group)
        if frame < words or (exact and frame != words):
            yield f"`IFRM.words` of group {group} is {frame} for {words} words of input"


def _fifo_control(registers: RegisterFile, run: Run) -> Iterator[str]:
    for field in ("almost_empty", "almost_full"):
        if registers.field("FIFO_CTL", field) != FIFO_THRESHOLD:
            yield f"`FIFO_CTL.{field}` is not {FIFO_THRESHOLD}"
    if "cpl" in registers.map.register("FIFO_CTL").fields and not registers.field(
        "FIFO_CTL", "cpl"
    ):
        yield "`FIFO_CTL.cpl` is 0"
    enabled = registers.field("FIFO_CTL", "enable")
    for group in run.groups:
        reads = registers.field("ENA", "processors", group, run.first) & 0b1111
        if reads and not enabled >> group & 1:
            yield f"FIFO {group} is not enabled, group {group} reads it"
