"""The sanitizer: one program for every kind of finding, and the same program when it is right."""

import numpy as np
import pytest
from emulator_programs import MEMORY_STEP, REGISTERS, SIZE, Chip

from ai8xc.backends.emulator import FindingError
from ai8xc.backends.emulator.findings import Findings
from ai8xc.backends.emulator.memory import DataMemory
from ai8xc.backends.emulator.streaming import Buffer, check_buffer

FRAME = SIZE * SIZE


def test_a_correct_program_is_not_reported():
    chip = Chip(strict=True)
    words = chip.load_frame()
    chip.copy_layer()
    chip.start()
    assert chip.emulator.read_block(chip.data(word=64), FRAME).tolist() == words
    assert chip.emulator.findings == []


def test_reading_a_word_that_was_never_written():
    chip = Chip()
    chip.emulator.read(chip.data(word=7))
    (finding,) = chip.emulator.findings
    assert (finding.kind, finding.address, finding.layer) == (
        "uninitialised",
        chip.data(word=7),
        None,
    )
    assert finding.changes_results


def test_a_result_that_depends_on_such_a_word_names_the_layer():
    chip = Chip()
    chip.emulator.write_block(chip.data(), [1] * (FRAME - 1))  # the last pixel is missing
    chip.copy_layer()
    chip.start()
    chip.emulator.read_block(chip.data(word=64), FRAME - 1)
    assert chip.emulator.findings == []
    chip.emulator.read(chip.data(word=64 + FRAME - 1))
    (finding,) = chip.emulator.findings
    assert (finding.kind, finding.layer) == ("uninitialised", 0)


@pytest.mark.parametrize(("tap", "reported"), [(0, False), (8, True)])
def test_a_tap_of_zero_passes_nothing_on(tap, reported):
    """The pixel behind the first output reads the missing one only through tap 8 (down right)."""
    chip = Chip()
    words = [1] * FRAME
    for pixel in range(FRAME):
        if pixel != SIZE + 1:  # the pixel down right of the first one
            chip.emulator.write(chip.data(word=pixel), words[pixel])
    chip.load_kernel([int(t == tap) for t in range(9)])
    chip.conv_layer()
    chip.start()
    chip.emulator.read(chip.data(word=64))
    assert chip.kinds() == (["uninitialised"] if reported else [])


@pytest.mark.parametrize(("weight", "kinds"), [(0, []), (1, ["uninitialised"])])
def test_a_channel_that_meets_weights_of_zero_passes_nothing_on(weight, kinds):
    """Nothing was written for processor 4, which reads the second memory."""
    chip = Chip()
    chip.load_frame()
    chip.load_kernel([1] * 9)
    chip.load_kernel([weight] * 9, processor=4)
    chip.conv_layer()
    chip.write("ENA", processors=0b10001, kernels=0b10001)
    chip.start()
    chip.emulator.read(chip.data(word=64))
    assert chip.kinds() == kinds


def test_a_layer_without_its_kernels_or_bias():
    chip = Chip()
    chip.load_frame()
    chip.conv_layer(bias=1)
    chip.start()
    messages = [f.message for f in chip.emulator.findings if f.kind == "uninitialised"]
    assert messages == [
        "no kernel was loaded for processor 0",
        "no bias was loaded into group 0 from byte 0 on",
    ]


@pytest.mark.parametrize("memory", ["kernel", "bias", "tram"])
def test_a_bus_write_behind_a_memory(memory):
    chip = Chip()
    found = REGISTERS.memory(memory)
    address = found.address(0) + 4 * found.words
    chip.emulator.write(address, 1)
    (finding,) = chip.emulator.findings
    assert (finding.kind, finding.address) == ("outside-memory", address)


def test_packed_kernels_behind_the_kernel_memory():
    chip = Chip()
    chip.write("CTL", clock_enable=1, express=1)
    address = REGISTERS.memory("kernel").address(0, 3) + 4 * 767  # the last column
    chip.emulator.write_byte(address | 1, 1)
    chip.emulator.write_block(address, [0] * 5)  # two columns
    assert chip.kinds() == ["outside-memory"]


@pytest.mark.parametrize("pointer", [MEMORY_STEP - FRAME + 1, 15 * MEMORY_STEP + MEMORY_STEP - 1])
def test_a_layer_that_writes_behind_its_memory(pointer):
    chip = Chip()
    chip.load_frame()
    chip.copy_layer(target=pointer)
    chip.start()
    assert chip.kinds() == ["outside-memory"]
    assert chip.emulator.findings[0].layer == 0


@pytest.mark.parametrize(("target", "kinds"), [(0, []), (1, ["overwritten"])])
def test_a_layer_that_overwrites_its_own_input(target, kinds):
    """Copying down in place never passes the reads still to come, copying up does."""
    chip = Chip()
    source = 1 - target
    chip.load_frame(word=source)
    chip.copy_layer(source=source, target=target)
    chip.start()
    assert chip.kinds() == kinds


def test_a_tensor_that_is_overwritten_before_its_last_reader():
    chip = Chip()
    chip.load_frame()
    chip.copy_layer(0, source=0, target=64)
    chip.copy_layer(1, source=64, target=FRAME - 1)  # destroys the last input pixel
    chip.copy_layer(2, source=0, target=128)
    chip.start(layers=3)
    (finding,) = chip.emulator.findings
    assert (finding.kind, finding.layer) == ("overwritten", 2)


def test_tensors_side_by_side_are_not_torn():
    chip = Chip()
    chip.load_frame()
    chip.copy_layer(0, source=0, target=64)
    chip.copy_layer(1, source=64, target=FRAME)
    chip.copy_layer(2, source=8, target=128)  # half of the input, half of the copy
    chip.start(layers=3)
    assert chip.emulator.findings == []


@pytest.mark.parametrize(
    ("first", "stop", "messages"), [(0, 10, 0), (9, 11, 1), (11, 20, 0), (8190, 8193, 1)]
)
def test_streaming_buffers(first, stop, messages):
    findings = Findings()
    data = DataMemory(REGISTERS.memory("data"), 4)
    taken = Buffer(0, frozenset({1, 2}), 10, 11)
    check_buffer(Buffer(1, frozenset({2, 3}), first, stop), [taken], data, findings)
    assert [f.kind for f in findings] == ["stream-buffer"] * messages


def test_buffers_in_different_memories_do_not_meet():
    findings = Findings()
    data = DataMemory(REGISTERS.memory("data"), 4)
    taken = Buffer(0, frozenset({1}), 0, 50)
    check_buffer(Buffer(1, frozenset({2}), 0, 50), [taken], data, findings)
    assert list(findings) == []


def test_an_address_without_register():
    chip = Chip()
    chip.emulator.write(REGISTERS.address("MLAT") + 4, 1)
    chip.emulator.read(0x4000_0000)
    assert chip.kinds() == ["unknown-register", "unknown-register"]


def test_reserved_bits():
    chip = Chip()
    address = REGISTERS.address("LCTL", 0, 3)
    chip.emulator.write(address, REGISTERS.encode("LCTL", fixed=1) | 1 << 31)
    (finding,) = chip.emulator.findings
    assert (finding.kind, finding.address, finding.layer) == ("reserved-bits", address, 3)


CONTRADICTIONS = [
    ("TPTR", {"last": SIZE}),
    ("WPTR_MOFFS", {"offset": 1}),
    ("LCTL", {"maximum": 1, "shared_source": 1}),
    ("LCTL", {"fixed": 1, "shared_source": 1}),
    ("LCTL", {"fixed": 1, "maximum": 1}),
    ("LCTL", {"fixed": 1, "maximum": 1, "shared_source": 1, "sources": 2}),
    ("ENA", {"processors": 1}),
    ("PRCNT", {"extent": 1}),
    ("POST", {"bias_offset": 3}),
    ("POST", {"copy": 1}),
    ("ONED", {"slots": 1}),
    ("ONED", {"operands": 1}),
    ("SRAM", {"timing": 0}),
]


@pytest.mark.parametrize(("register", "fields"), CONTRADICTIONS)
def test_fields_that_contradict_each_other(register, fields):
    """The numbers come out here, on the chip they may not."""
    chip = Chip()
    chip.load_frame()
    chip.load_kernel([0, 0, 0, 0, 64, 0, 0, 0, 0])
    chip.conv_layer()
    chip.start()
    assert chip.emulator.findings == []
    chip.write(register, **fields)
    chip.start()
    assert chip.kinds() == ["inconsistent"]


def test_control_in_a_wrong_order():
    chip = Chip()
    chip.write("CTL", enable=1)
    chip.emulator.read(REGISTERS.address("MLAT"))
    assert chip.kinds() == ["control", "control"]
    assert chip.emulator.layers == []


def test_a_strict_emulator_raises_at_once():
    chip = Chip(strict=True)
    with pytest.raises(FindingError, match="uninitialised: read a word never written") as caught:
        chip.emulator.read(chip.data())
    assert caught.value.finding.address == chip.data()


def test_a_finding_is_reported_once():
    chip = Chip()
    for _ in range(3):
        chip.emulator.read(chip.data())
    assert len(chip.emulator.findings) == 1


def test_writing_makes_a_word_known():
    chip = Chip()
    chip.emulator.write(chip.data(), 5)
    assert np.array_equal(chip.emulator.read_block(chip.data(), 1), [5])
    assert chip.emulator.findings == []
