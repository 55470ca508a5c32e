"""The generated `cnn_unload`: from the data memories to channels x rows x columns.

Source: register description, section 5.10; memory description, section 3.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ai8xc.backends.ai8x.c_names import CNames, hexadecimal
from ai8xc.backends.ai8x.c_options import unroll
from ai8xc.backends.ai8x.templates import fill
from ai8xc.dialects.reg import Program, Unload
from ai8xc.registers import WORD_BYTES

LANES = 4


@dataclass(frozen=True)
class Segment:
    """Neighbouring channels in one data memory and pass: where they lie and where they go.

    `word` is that of the first pixel, `lane` the byte (or, of a wide value, the word) of the first
    channel in it, `step` the words from pixel to pixel, `target` the first byte in the buffer.
    """

    group: int
    memory: int
    word: int
    lane: int
    channels: int
    target: int
    step: int


def segments(unload: Unload, start: int, instances: int) -> Iterator[Segment]:
    """Yield the segments of an output that begins at byte `start` of the buffer."""
    processors = [p for p in range(unload.processors.bit_length()) if unload.processors >> p & 1]
    passes = -(-unload.channels // len(processors))
    size = WORD_BYTES if unload.wide else 1
    step = passes * (unload.gap + 1) * size
    plane = unload.rows * unload.columns * size
    for number in range(passes):
        first = number * len(processors)
        word = unload.offset // WORD_BYTES + number * (unload.gap + 1) * size
        for run in _runs(processors[: unload.channels - first]):
            group, memory = divmod(processors[run.start] // LANES, instances)
            lane = processors[run.start] % LANES
            target = start + (first + run.start) * plane
            yield Segment(group, memory, word, lane, len(run), target, step)


def _runs(processors: list[int]) -> Iterator[range]:
    """Yield ranges of positions whose processors are neighbours in one memory."""
    start = 0
    for i in range(1, len(processors) + 1):
        ends = i == len(processors) or processors[i] != processors[i - 1] + 1
        if ends or processors[i] % LANES == 0:
            yield range(start, i)
            start = i


@dataclass
class UnloadCode:
    """Collects the statements of the function and the helpers that they call."""

    names: CNames
    helpers: set[str]
    padding: bool
    """The last word of the buffer is not filled by outputs alone."""
    transposes: bool = False
    """Bytes go through the byte transposer where it can be used."""
    groups: set[int] = field(default_factory=set)
    """Groups whose byte transposer is used."""

    def statements(self, unload: Unload, found: list[Segment], last: bool) -> list[str]:
        """Return the statements of one output."""
        pixels = unload.rows * unload.columns
        lines = []
        for segment in found:
            if self.transposes and transposable(segment, unload.wide, pixels):
                lines += self._transposed(segment, pixels)
            elif pixels == 1:
                lines += self._single(segment, unload.wide, last and segment is found[-1])
            else:
                lines.append(self._planes(segment, unload.wide, pixels))
        return lines

    def _single(self, s: Segment, wide: bool, last: bool) -> list[str]:
        """Outputs of one pixel: whole words where buffer and memory agree."""
        aligned = s.target % WORD_BYTES == 0
        at = s.target // WORD_BYTES
        if wide and aligned:
            words = range(s.word + s.lane, s.word + s.lane + s.channels)
            sources = [self.names.data(s.group, s.memory, word) for word in words]
            return [f"    out_buf[{i}] = {source};" for i, source in enumerate(sources, at)]
        data = self.names.data(s.group, s.memory, s.word)
        if not wide and aligned and s.lane == 0 and (s.channels == LANES or last):
            mask = "" if s.channels == LANES else f" & 0x{(1 << 8 * s.channels) - 1:X}u"
            self.padding = self.padding and s.channels == LANES
            return [f"    out_buf[{at}] = {data}{mask};"]
        return [self._planes(s, wide, 1)]

    def _transposed(self, s: Segment, pixels: int) -> list[str]:
        """One channel after the other; the pointers are those of layer 0 (section 5.10)."""
        self.helpers.add("unload_mlator")
        self.groups.add(s.group)
        names, registers = self.names, self.names.registers
        shift = registers.memory("data").stride.bit_length() - 3  # pointers count words
        pointer = registers.encode("WPTR_BASE", pointer=s.memory << shift | s.word)
        lines = [f"    {names.register('WPTR_BASE', s.group, 0)} = {hexadecimal(pointer)};"]
        lines.append(f"    {names.register('LCTL2', s.group, 0)} = 0;")
        ctl, mlat = names.register("CTL", s.group), names.register("MLAT", s.group)
        for number in range(s.channels):
            mode = registers.encode("CTL", clock_enable=1, mlator=1, mlator_lane=s.lane + number)
            target = (s.target + number * pixels) // WORD_BYTES
            lines.append(
                f"    unload_mlator(&out_buf[{target}], &{ctl}, &{mlat},"
                f" {hexadecimal(mode)}, {pixels // WORD_BYTES}u);"
            )
        return lines

    def around(self, lines: list[str]) -> list[str]:
        """Return statements that keep the registers which the transposer needs."""
        names = self.names
        before, after = [], []
        for group in sorted(self.groups):
            clock = names.registers.encode("CTL", clock_enable=1)
            for register in ("WPTR_BASE", "LCTL2"):
                kept = f"{register.lower()}_{group}"
                place = names.register(register, group, 0)
                before.append(f"    const uint32_t {kept} = {place};")
                after.append(f"    {place} = {kept};")
            after.append(f"    {names.register('CTL', group)} = {hexadecimal(clock)};")
        return [*before, *lines, *([""] if after else []), *after]

    def _planes(self, s: Segment, wide: bool, pixels: int) -> str:
        full = s.channels == LANES and s.lane == 0 and pixels % 4 == 0
        if wide:
            source = self.names.data(s.group, s.memory, s.word + s.lane)
            return self._call("unload_wide", s, source, f"{s.channels}u, {pixels}u")
        source = self.names.data(s.group, s.memory, s.word)
        if full and s.target % WORD_BYTES == 0:
            self.helpers.add("unload_four")
            target = f"&out_buf[{s.target // WORD_BYTES}]"
            return f"    unload_four({target}, &{source}, {s.step}u, {pixels}u);"
        return self._call("unload_lanes", s, source, f"{s.lane}u, {s.channels}u, {pixels}u")

    def _call(self, helper: str, s: Segment, source: str, rest: str) -> str:
        self.helpers.add(helper)
        return f"    {helper}(&out[{s.target}], &{source}, {s.step}u, {rest});"


def transposable(s: Segment, wide: bool, pixels: int) -> bool:
    """Whether the byte transposer can unload: whole words of bytes, one pass (section 5.10)."""
    return not wide and s.step == 1 and pixels % WORD_BYTES == 0 and s.target % WORD_BYTES == 0


def output_bytes(unload: Unload) -> int:
    """Return the bytes of an output in the buffer."""
    size = WORD_BYTES if unload.wide else 1
    return unload.channels * unload.rows * unload.columns * size


@dataclass(frozen=True)
class Unrolled:
    """How often the C compiler unrolls the loops over bytes and wide values; None: as it likes.

    `transposes`: bytes go through the byte transposer, whose loop has a number of its own.
    """

    bytes: int | None = None
    wide: int | None = None
    transposed: int | None = None
    transposes: bool = False

    def helper(self, name: str) -> str:
        """Return a helper as C."""
        numbers = {"unload_wide": self.wide, "unload_mlator": self.transposed}
        indent = " " * (8 if name == "unload_wide" else 4)
        return fill(f"{name}.c", unroll=unroll(numbers.get(name, self.bytes), indent))


def unload_function(program: Program, names: CNames, unrolled: Unrolled) -> str:
    """Return `cnn_unload` with the helpers that it needs."""
    instances = program.registers.memory("data").instances
    total = sum(map(output_bytes, program.unloads))
    code = UnloadCode(names, set(), total % WORD_BYTES != 0, unrolled.transposes)
    lines: list[str] = []
    at = 0
    for unload in program.unloads:
        shape = f"{unload.channels} x {unload.rows} x {unload.columns}"
        width = "32-bit" if unload.wide else "8-bit"
        lines += ["", f"    /* Output {comment_text(unload.output)}: {shape}, {width} */"]
        found = list(segments(unload, at, instances))
        lines += code.statements(unload, found, unload is program.unloads[-1])
        at += output_bytes(unload)
    head = []
    if any(name in code.helpers for name in ("unload_lanes", "unload_wide")):
        head.append("    uint8_t *const out = (uint8_t *)out_buf;")
    if code.padding:
        lines.insert(0, f"    out_buf[{total // WORD_BYTES}] = 0; /* padding */")
    body = "\n".join([*head, *code.around(lines)]).strip("\n")
    helpers = [unrolled.helper(name) for name in sorted(code.helpers)]
    function = f"int cnn_unload(uint32_t *out_buf)\n{{\n{body}\n\n    return CNN_OK;\n}}"
    return "\n".join([*helpers, function, "\n"])


def comment_text(text: str) -> str:
    """Return a text that can stand in a comment."""
    return text.replace("*/", "* /").replace("/*", "/ *")
