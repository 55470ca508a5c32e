"""The emulator as the bus sees it: loaders, start and stop, self test, byte transposer, FIFO."""

import numpy as np
import pytest
from emulator_programs import REGISTERS, SIZE, Chip

from ai8xc.backends.emulator import Emulator
from ai8xc.registers import load_registers

FRAME = SIZE * SIZE
KERNEL = [1, -2, 3, -4, 5, -6, 7, -8, 9]


def convolved(frame, kernel, shift=0, bias=0):
    """semantics.md 1.5 and 1.10, pixel by pixel."""
    height, width = frame.shape
    padded = np.pad(frame, 1)
    result = np.empty(frame.shape, int)
    for y in range(height):
        for x in range(width):
            window = padded[y : y + 3, x : x + 3].reshape(-1)
            total = int(np.dot(window, kernel)) + 128 * bias
            result[y, x] = max(-128, min(127, int(np.floor(total * 2.0**shift / 128 + 0.5))))
    return result


def test_a_convolution_by_hand():
    rng = np.random.default_rng(1)
    frame = rng.integers(-128, 128, (SIZE, SIZE))
    chip = Chip(strict=True)
    chip.load_frame([int(v) & 0xFF for v in frame.reshape(-1)])
    chip.load_kernel(KERNEL)
    chip.emulator.write(REGISTERS.memory("bias").address(0), 0xF0)  # -16
    chip.conv_layer(bias=1)
    chip.write("POST", bias=1, shift=2)
    chip.start()
    words = chip.emulator.read_block(chip.data(word=64), FRAME)
    result = (words & 0xFF).astype(np.uint8).view(np.int8).reshape(SIZE, SIZE)
    expected = convolved(frame, KERNEL, shift=2, bias=-16)
    assert result.tolist() == expected.tolist()
    (trace,) = chip.emulator.layers
    assert (trace.index, trace.operator) == (0, "conv")
    assert trace.output.tolist() == [expected.tolist()]
    assert (trace.read.memories, trace.read.first, trace.read.last) == ((0,), 0, FRAME - 1)
    assert (trace.written.memories, trace.written.first) == ((0,), 64)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_the_packed_loader_equals_the_plain_one(chunk):
    """memory.md 1.10, the example: processor 17, columns 4 and 5."""
    columns = [*range(0x01, 0x0A), *range(0x11, 0x1A)]
    packed = [0x01020304, 0x05060708, 0x09111213, 0x14151617, 0x18190000]
    plain = [0x01, 0x02030405, 0x06070809, 0, 0x11, 0x12131415, 0x16171819, 0]
    emulator = Emulator("max78000")
    emulator.write(REGISTERS.address("CTL", 1), REGISTERS.encode("CTL", clock_enable=1, express=1))
    emulator.write_byte(0x5058_4010 | 1, 1)
    for first in range(0, len(packed), chunk):
        emulator.write_block(0x5058_4010 + 4 * first, packed[first : first + chunk])
    assert len(columns) == 18
    assert emulator.read_block(0x5058_4040, 8).tolist() == plain
    assert emulator.read(0x5058_4060) == 0  # the padding fills no third column
    assert emulator.findings == []


def test_the_plain_loader_commits_with_the_fourth_word():
    emulator = Emulator("max78000")
    address = REGISTERS.memory("kernel").address(0, 2)
    for i, word in enumerate([0x01, 0x02030405, 0x06070809]):
        emulator.write(address + 4 * i, word)
    assert emulator.read_block(address, 3).tolist() == [0, 0, 0]
    emulator.write(address + 12, 0)
    assert emulator.read_block(address, 3).tolist() == [0x01, 0x02030405, 0x06070809]


def test_bytes_and_blocks_reach_the_same_words():
    emulator = Emulator("max78000")
    address = REGISTERS.memory("data").address(0, 0, 8190)
    emulator.write_block(address, [1, 2, 3, 4])  # runs on into the next memory
    for i, byte in enumerate([0x11, 0x22, 0x33, 0x44]):
        emulator.write_byte(address + i, byte)
    assert emulator.read_block(address, 4).tolist() == [0x44332211, 2, 3, 4]
    assert emulator.read(REGISTERS.memory("data").address(0, 1)) == 3
    assert emulator.findings == []


def test_the_end_of_a_run_is_an_interrupt_until_it_is_acknowledged():
    chip = Chip(strict=True)
    chip.load_frame()
    chip.copy_layer()
    assert chip.emulator.idle
    assert not chip.emulator.interrupt
    chip.start()
    assert chip.emulator.idle
    assert chip.emulator.interrupt
    assert chip.read("CTL")["done"] == 1
    chip.write("CTL", clock_enable=1)
    assert not chip.emulator.interrupt


def test_stop_and_continue_do_not_start_again():
    chip = Chip(strict=True)
    chip.load_frame()
    chip.copy_layer()
    chip.start()
    ctl = REGISTERS.address("CTL")
    chip.load_frame([7] * FRAME)
    chip.emulator.write(ctl, chip.emulator.read(ctl) & ~1)  # cnn_stop
    chip.emulator.write(ctl, chip.emulator.read(ctl) | 1)  # cnn_continue
    assert chip.emulator.read(chip.data(word=64)) == 0x01010101
    chip.start()  # a new inference
    assert chip.emulator.read(chip.data(word=64)) == 7


def test_the_self_test_clears_a_memory_and_says_so():
    chip = Chip(strict=True)
    chip.load_frame()
    chip.write("SRAM_TEST", zero_data=1)
    status = chip.read("SRAM_TEST")
    assert (status["data_done"], status["all_done"], status["data_error"]) == (1, 1, 0)
    chip.write("SRAM_TEST")
    assert chip.read("SRAM_TEST")["all_done"] == 0
    assert chip.emulator.read(chip.data()) == 0
    assert chip.emulator.read(chip.data(memory=3, word=8191)) == 0


def test_max78002_clears_its_registers():
    registers = load_registers("max78002")
    emulator = Emulator("max78002", strict=True)
    emulator.write(registers.address("POST", 2, 5), 1)
    emulator.write(registers.address("SRAM_TEST", 2), 0x1880)
    assert emulator.read(registers.address("SRAM_TEST", 2)) & 1 << 25
    assert emulator.read(registers.address("POST", 2, 5)) == 0


@pytest.mark.parametrize("lane", range(4))
def test_the_byte_transposer_returns_four_pixels_of_a_channel(lane):
    chip = Chip(strict=True)
    pixels = np.arange(64, dtype=np.uint8).reshape(FRAME, 4)  # four channels
    memory, word = 2, 100
    chip.emulator.write_block(chip.data(memory, word), pixels.view("<u4").reshape(-1))
    chip.write("WPTR_BASE", pointer=memory * 8192 + word)
    chip.write("CTL", clock_enable=1, mlator=1, mlator_lane=lane)
    address = REGISTERS.address("MLAT")
    chip.emulator.read(address)
    words = [chip.emulator.read(address) for _ in range(FRAME // 4)]
    assert np.array(words, "<u4").view(np.uint8).tolist() == pixels[:, lane].tolist()


def test_a_run_waits_for_its_fifo():
    chip = Chip(strict=True)
    chip.copy_layer()
    chip.emulator.write(
        REGISTERS.address("FIFO_CTL"),
        REGISTERS.encode("FIFO_CTL", almost_empty=2, almost_full=2, cpl=1, enable=1),
    )
    chip.write("IFRM", words=FRAME)
    chip.write("CTL", clock_enable=1, fifo=1, external_sync=1, enable=1)
    for i in range(FRAME - 1):
        chip.emulator.push(0, i + 1)
    assert not chip.emulator.idle
    chip.emulator.write(REGISTERS.address("FIFO_DATA"), FRAME)
    assert chip.emulator.idle
    words = chip.emulator.read_block(chip.data(word=64), FRAME)
    assert words.tolist() == list(range(1, FRAME + 1))


@pytest.mark.parametrize("name", ["max78000", "MAX78002", "ai85", "AI87"])
def test_devices_by_name(name):
    assert Emulator(name).idle


def test_an_unknown_device():
    with pytest.raises(KeyError, match="max78000"):
        Emulator("max32655")
