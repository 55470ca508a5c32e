"""The memories behind the bus: data with their history, kernels with both loaders, plain words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ai8xc.registers import Memory

Words = NDArray[np.uint32]
Bytes = NDArray[np.uint8]
Lanes = NDArray[np.int8]
Ids = NDArray[np.int32]

LANES = 4
COLUMN_BYTES = 9
COLUMN_WORDS = 4

# The state of a data word is 0 while it was never written, else one of:
DEFINED = 1  # written with a determined value
FIRST_CAUSE = 2  # from here on: undetermined, with the number of its cause


class Frame:
    """Data words of all memories: their values and what is known about each word.

    `lanes[memory, word, lane]` and `words[memory, word]` are two views of the same bytes.
    `base` is the word address of the first word: 0 for the real memories, the first word of a
    tensor for one that a streaming layer hands to the next without storing it.
    """

    def __init__(self, memories: int, count: int, base: int = 0) -> None:
        self.words: Words = np.zeros((memories, count), np.uint32)
        self.lanes: Lanes = self.words.view(np.int8).reshape(memories, count, LANES)
        self.state: Ids = np.zeros((memories, count), np.int32)
        self.base = base

    @property
    def count(self) -> int:
        """Words of one memory."""
        return int(self.words.shape[1])

    def read(self, memories: NDArray[np.intp], start: int, count: int) -> tuple[Lanes, Ids]:
        """`count` words from `start` of each memory: lanes `(n, count, 4)`, states `(n, count)`.

        Words behind the end of the memory read as 0 and never written.
        """
        first = start - self.base
        stop = min(max(first + count, 0), self.count)
        lanes = self.lanes[memories, first:stop]
        state = self.state[memories, first:stop]
        missing = count - lanes.shape[1]
        if missing:
            lanes = np.pad(lanes, ((0, 0), (0, missing), (0, 0)))
            state = np.pad(state, ((0, 0), (0, missing)))
        return lanes, state


class DataMemory(Frame):
    """The data memories, with the writer of every word and the writer whose word it replaced.

    A writer is the number of an event (a load by the bus, or one executed layer); 0 is none.
    """

    def __init__(self, memory: Memory, groups: int) -> None:
        super().__init__(groups * memory.instances, memory.words)
        self.pointer_shift = (memory.stride // LANES).bit_length() - 1
        self.writer: Ids = np.zeros(self.words.shape, np.int32)
        self.replaced: Ids = np.zeros(self.words.shape, np.int32)

    def note_write(self, memory: int, where: slice, event: int) -> None:
        """Record that `event` wrote these words; call before the state changes."""
        writer = self.writer[memory, where]
        other = (writer != event) & (self.state[memory, where] == DEFINED)
        np.copyto(self.replaced[memory, where], writer, where=other)
        writer[...] = event

    def load(self, memory: int, word: int, values: Words, event: int) -> None:
        """Write words from the bus."""
        where = slice(word, word + len(values))
        self.note_write(memory, where, event)
        self.words[memory, where] = values
        self.state[memory, where] = DEFINED

    def clear(self, memories: slice, event: int) -> None:
        """Zero whole memories, as the built-in self test does."""
        self.words[memories] = 0
        self.state[memories] = DEFINED
        self.writer[memories] = event
        self.replaced[memories] = 0


@dataclass
class _Express:
    """The cursor of the packed loader: bytes that do not fill a column yet wait here.

    `word` is where the next word of the stream is written.
    """

    column: int
    word: int
    waiting: bytes = b""


class KernelMemory:
    """Kernels as columns of 9 bytes `b[0..8]`, for every processor (memory.md 1.1, 1.10)."""

    def __init__(self, memory: Memory, groups: int) -> None:
        self._sizes = [memory.size(i) // COLUMN_WORDS for i in range(memory.instances)]
        processors, columns = groups * memory.instances, max(self._sizes)
        self.columns: Bytes = np.zeros((processors, columns, COLUMN_BYTES), np.uint8)
        self.written: NDArray[np.bool_] = np.zeros((processors, columns), np.bool_)
        self._plain: Words = np.zeros((processors, columns, COLUMN_WORDS), np.uint32)
        self._express: dict[int, _Express] = {}

    def size(self, processor: int) -> int:
        """Columns of one processor."""
        return self._sizes[processor % len(self._sizes)]

    def select(self, processor: int, word: int) -> None:
        """Set the start column of the packed loader: the byte write of 1 to `address | 1`."""
        self._express[processor] = _Express(word, word)

    def expects(self, processor: int, word: int) -> bool:
        """Whether the packed loader of a processor goes on at this word; others are plain."""
        cursor = self._express.get(processor)
        return cursor is not None and cursor.word == word

    def load_packed(self, processor: int, values: Words) -> int:
        """Append words, most significant byte first; returns how many columns did not fit."""
        cursor = self._express[processor]
        cursor.word += len(values)
        data = cursor.waiting + values.astype(">u4").tobytes()
        count, rest = divmod(len(data), COLUMN_BYTES)
        first, cursor.column = cursor.column, cursor.column + count
        cursor.waiting = data[len(data) - rest :]
        fits = max(0, min(count, self.size(processor) - first))
        block = np.frombuffer(data, np.uint8, fits * COLUMN_BYTES).reshape(-1, COLUMN_BYTES)
        self.columns[processor, first : first + fits] = block
        self.written[processor, first : first + fits] = True
        return count - fits

    def load_plain(self, processor: int, word: int, values: Words) -> None:
        """Write words of the plain view; the fourth word of a column commits it."""
        stop = word + len(values)
        self._plain[processor].reshape(-1)[word:stop] = values
        first, last = word // COLUMN_WORDS, stop // COLUMN_WORDS
        if last > first:
            self.columns[processor, first:last] = _columns(self._plain[processor, first:last])
            self.written[processor, first:last] = True

    def read(self, processor: int, word: int, count: int) -> Words:
        """Words of the plain view."""
        first, last = word // COLUMN_WORDS, -(-(word + count) // COLUMN_WORDS)
        words = _plain_words(self.columns[processor, first:last]).reshape(-1)
        return words[word - first * COLUMN_WORDS :][:count]

    def clear(self, processors: slice) -> None:
        """Zero all columns of some processors."""
        self.columns[processors] = 0
        self.written[processors] = True


def _columns(plain: Words) -> Bytes:
    """Columns `(n, 9)` from plain words `(n, 4)`: b0, then b1..b4 and b5..b8 big endian."""
    swapped = plain.astype(">u4").view(np.uint8).reshape(-1, COLUMN_WORDS * LANES)
    return swapped[:, 3:12]


def _plain_words(columns: Bytes) -> Words:
    padded = np.pad(columns, ((0, 0), (3, 4)))
    return padded.view(">u4").astype(np.uint32)


class PlainMemory:
    """A memory of words with no structure: bias bytes, or row buffers.

    `mask` keeps the bits that exist.
    """

    def __init__(self, memory: Memory, groups: int, mask: int) -> None:
        self.words: Words = np.zeros((groups * memory.instances, memory.words), np.uint32)
        self.written: NDArray[np.bool_] = np.zeros(self.words.shape, np.bool_)
        self._mask = np.uint32(mask)

    def load(self, instance: int, word: int, values: Words) -> None:
        """Write words from the bus."""
        where = slice(word, word + len(values))
        self.words[instance, where] = values & self._mask
        self.written[instance, where] = True

    def clear(self, instances: slice) -> None:
        """Zero whole instances."""
        self.words[instances] = 0
        self.written[instances] = True
