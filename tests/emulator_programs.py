"""Small MAX78000 programs for the emulator, written register by register."""

from ai8xc.backends.emulator import Emulator
from ai8xc.registers import load_registers

REGISTERS = load_registers("max78000")
MEMORY_STEP = 8192  # pointer step from one data memory to the next, registers.md 1
SIZE = 4  # the frames are SIZE x SIZE pixels


class Chip:
    """An emulator whose registers are written by name; group 0 only."""

    def __init__(self, strict: bool = False) -> None:
        self.emulator = Emulator("max78000", strict=strict)
        self.write("CTL", clock_enable=1)
        self.emulator.write(REGISTERS.address("SRAM"), 0x40E)

    def write(self, register: str, layer: int = 0, **fields: int) -> None:
        address = REGISTERS.address(register, 0, layer)
        self.emulator.write(address, REGISTERS.encode(register, **fields))

    def read(self, register: str) -> dict[str, int]:
        return REGISTERS.decode(register, self.emulator.read(REGISTERS.address(register)))

    def data(self, memory: int = 0, word: int = 0) -> int:
        return REGISTERS.memory("data").address(0, memory, word)

    def load_frame(self, words: list[int] | None = None, word: int = 0) -> list[int]:
        """Write a frame of `SIZE * SIZE` words into memory 0."""
        words = words or [0x01010101 * (i + 1) for i in range(SIZE * SIZE)]
        self.emulator.write_block(self.data(word=word), words)
        return words

    def copy_layer(self, layer: int = 0, source: int = 0, target: int = 64) -> None:
        """A layer that copies a frame of four channels."""
        self.frame(layer, source, target)
        self.write("ONED", layer, length=1)
        self.write("WPTR_TOFFS", layer, offset=MEMORY_STEP // 4)
        self.write("ENA", layer, processors=0b1111)
        self.write("POST", layer, no_sum=1, copy=1)

    def conv_layer(self, layer: int = 0, source: int = 0, target: int = 64, bias: int = 0) -> None:
        """A 3x3 convolution of one channel with padding 1 and one output, kernel in column 0."""
        self.frame(layer, source, target, pad=1)
        self.write("WPTR_MOFFS", layer, offset=MEMORY_STEP)
        self.write("ENA", layer, processors=1, kernels=1)
        self.write("TPTR", layer, last=SIZE - 1)
        self.write("POST", layer, bias=bias)

    def frame(self, layer: int, source: int, target: int, pad: int = 0) -> None:
        for register in ("RCNT", "CCNT"):
            self.write(register, layer, count=SIZE - 1 + 2 * pad, pad=pad)
        self.write("RPTR_BASE", layer, word=source)
        self.write("WPTR_BASE", layer, pointer=target)
        self.write("LCTL", layer, fixed=1, maximum=1, shared_source=1)

    def load_kernel(self, taps: list[int], processor: int = 0) -> None:
        """One kernel of nine bytes into column 0 of a processor, in the plain view."""
        b = [tap & 0xFF for tap in taps]
        words = [
            b[0],
            int.from_bytes(bytes(b[1:5]), "big"),
            int.from_bytes(bytes(b[5:9]), "big"),
            0,
        ]
        self.emulator.write_block(REGISTERS.memory("kernel").address(0, processor), words)

    def start(self, layers: int = 1) -> None:
        self.write("LCNT_MAX", last=layers - 1)
        self.write("CTL", clock_enable=1)
        self.write("CTL", clock_enable=1, enable=1)

    def kinds(self) -> list[str]:
        return [finding.kind for finding in self.emulator.findings]
