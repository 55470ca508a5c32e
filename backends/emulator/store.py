"""Writing the output of a layer, and what the sanitizer sees at that moment."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ai8xc.backends.emulator.decode import Layer
from ai8xc.backends.emulator.engine import Computed, Gathered
from ai8xc.backends.emulator.findings import Finding, Findings
from ai8xc.backends.emulator.layout import Placement
from ai8xc.backends.emulator.memory import DEFINED, FIRST_CAUSE, DataMemory, Frame
from ai8xc.backends.emulator.trace import Area


@dataclass
class Causes:
    """Why words are undetermined; a word's state is `FIRST_CAUSE` plus the number of its cause."""

    items: list[Finding] = field(default_factory=list)

    def state(self, cause: Finding) -> int:
        """The state of words that depend on `cause`."""
        self.items.append(cause)
        return FIRST_CAUSE + len(self.items) - 1

    def of(self, state: int) -> Finding | None:
        """The cause behind a word's state, None when it was simply never written."""
        return self.items[state - FIRST_CAUSE] if state >= FIRST_CAUSE else None


def place_output(computed: Computed, place: Placement, target: Frame) -> NDArray[np.bool_]:
    """Write the values that lie inside the frame; returns which outputs did."""
    count = computed.values[0].size if len(computed.values) else 0
    last = place.word - target.base + (count - 1) * place.step
    inside = (place.memory < len(target.words)) & (last < target.count)
    flat = computed.values.reshape(len(computed.values), -1)
    span = (count - 1) * place.step + 1
    starts = (place.word - target.base).tolist()
    for output, memory, lane in zip(
        np.nonzero(inside)[0].tolist(),
        place.memory[inside].tolist(),
        place.lane[inside].tolist(),
        strict=True,
    ):
        where = slice(starts[output], starts[output] + span, place.step)
        if place.wide:
            target.words[memory, where] = flat[output].view(np.uint32)
        else:
            target.lanes[memory, where, lane] = flat[output]
    return inside


def mark_output(
    computed: Computed, place: Placement, inside: NDArray[np.bool_], target: Frame, cause: int
) -> None:
    """Set the state of the written words: determined, or `cause` where the pixel is unknown."""
    count = computed.values[0].size
    state = np.full(count, DEFINED, np.int32)
    if computed.unknown is not None:
        state[computed.unknown.reshape(-1)] = cause
    for memory, where in _ranges(place, inside, count, target.base):
        target.state[memory, where] = state


def note_writer(
    place: Placement, inside: NDArray[np.bool_], count: int, data: DataMemory, event: int
) -> None:
    """Record the layer as the writer of its output words; call before `mark_output`."""
    for memory, where in _ranges(place, inside, count, data.base):
        data.note_write(memory, where, event)


def _ranges(
    place: Placement, inside: NDArray[np.bool_], count: int, base: int
) -> list[tuple[int, slice]]:
    """The distinct word ranges of an output, per memory."""
    pairs = np.unique(np.stack([place.memory[inside], place.word[inside] - base]), axis=1)
    span = (count - 1) * place.step + 1
    return [(m, slice(w, w + span, place.step)) for m, w in pairs.T.tolist()]


def area(place: Placement, count: int, stored: bool) -> Area:
    """The range of words an output covers."""
    memories = tuple(np.unique(place.memory).tolist())
    last = int(place.word.max()) + (count - 1) * place.step
    return Area(memories, int(place.word.min()), last, stored)


def check_inside(
    layer: Layer, place: Placement, inside: NDArray[np.bool_], findings: Findings
) -> None:
    """Report outputs that leave the data memories."""
    if inside.all():
        return
    output = int(np.nonzero(~inside)[0][0])
    findings.add(
        Finding(
            "outside-memory",
            f"{int((~inside).sum())} outputs leave the data memory, the first is output {output}"
            f" from word {int(place.word[output])} of memory {int(place.memory[output])}",
            layer=layer.index,
        )
    )


def check_own_input(
    layer: Layer, place: Placement, gathered: Gathered, shape: tuple[int, int], findings: Findings
) -> None:
    """Report an output word that replaces an input word which this layer has yet to read.

    Pixels are read once, in row-major order, and an output pixel is written as soon as the last
    input pixel of its window has been read.
    """
    if layer.chw:
        return
    words = layer.pixels * layer.read_step
    first, count = gathered.first, shape[0] * shape[1]
    consumed = _consumed(layer, shape)
    steps = np.arange(count) * place.step
    shared = np.isin(place.memory, gathered.memories)
    for word in np.unique(place.word[shared]).tolist():
        offset = word + steps - first
        pixel, inner = np.divmod(offset, layer.read_step)
        used = (offset >= 0) & (offset < words) & (inner < layer.words_per_pixel)
        if np.any(used & (pixel > consumed)):
            findings.add(
                Finding(
                    "overwritten",
                    "the layer overwrites its own input before reading it, output from"
                    f" word {word}, input from word {first}",
                    layer=layer.index,
                )
            )
            return


def _consumed(layer: Layer, shape: tuple[int, int]) -> NDArray[np.intp]:
    """The last input pixel read before each output pixel is written."""
    rows, columns = (
        np.clip(_last_input(layer, axis, count), 0, window.size - 1)
        for axis, count, window in ((0, shape[0], layer.rows), (1, shape[1], layer.columns))
    )
    return (rows[:, None] * layer.columns.size + columns).reshape(-1)


def _last_input(layer: Layer, axis: int, count: int) -> NDArray[np.intp]:
    window = (layer.rows, layer.columns)[axis]
    position = np.arange(count) - window.pad + window.kernel - 1
    if layer.transposed:
        position = position // 2
    return position * window.stride + (window.pool - 1) * window.dilation


def check_torn(layer: Layer, gathered: Gathered, data: DataMemory, findings: Findings) -> None:
    """Report a tensor that is read although part of it was overwritten since it was written.

    The sign is a word whose replaced writer still supplies other words of the same input.
    """
    stop = min(gathered.first + gathered.state.shape[1], data.count)
    read = _read_words(layer, max(0, stop - gathered.first))
    writer = data.writer[gathered.memories, gathered.first : stop][:, read]
    replaced = np.where(read, data.replaced[gathered.memories, gathered.first : stop], 0)
    lost = replaced[replaced > 0]
    if not lost.size:
        return
    torn = np.intersect1d(lost, writer)
    if not torn.size:
        return
    memory, word = np.argwhere(replaced == torn[0])[0].tolist()
    findings.add(
        Finding(
            "overwritten",
            f"word {gathered.first + word} of memory {int(gathered.memories[memory])} was"
            " overwritten before this layer read it; the rest of its tensor is still read",
            layer=layer.index,
        )
    )


def _read_words(layer: Layer, count: int) -> NDArray[np.bool_]:
    """Which words from the first one on are read: those between the pixels may be another's."""
    if layer.chw:
        return np.ones(count, np.bool_)
    used: NDArray[np.bool_] = np.arange(count) % layer.read_step < layer.words_per_pixel
    return used
