"""The register maps against the fact sheet, and the schema's own errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai8xc.registers import RegisterError, RegisterMap, load_registers

MAPS = {name: load_registers(name) for name in ("max78000", "max78002")}

# (device, register, group, index, address): the tables of registers.md 2, 3 and 4.7
ADDRESSES = [
    ("max78000", "CTL", 0, 0, 0x5010_0000),
    ("max78000", "CTL", 3, 0, 0x50D0_0000),
    ("max78000", "SRAM", 1, 0, 0x5050_0004),
    ("max78000", "RCNT", 0, 0, 0x5010_0010),
    ("max78000", "LCTL2", 0, 0, 0x5010_0A10),
    ("max78000", "POST", 2, 5, 0x5090_0790 + 20),
    ("max78000", "FMAX", 0, 7, 0x5010_0910 + 28),
    ("max78000", "IFRM", 0, 0, 0x5010_0990),
    ("max78000", "MLAT", 0, 0, 0x5010_1000),
    ("max78000", "FIFO_DATA", 0, 3, 0x5000_0014),
    ("max78000", "FAST_FIFO_DR", 0, 0, 0x400C_0410),
    ("max78002", "CTL", 1, 0, 0x5200_0000),
    ("max78002", "NXTLYR", 0, 0, 0x5110_0000),
    ("max78002", "POST", 3, 127, 0x5410_004C + 127 * 0x100),
    ("max78002", "STREAM1", 0, 0, 0x5110_8000),
    ("max78002", "FMAX", 0, 1, 0x5110_8044),
    ("max78002", "IFRM", 0, 0, 0x5110_8060),
    ("max78002", "MLAT", 0, 0, 0x5111_0000),
    ("max78002", "SNP_C1", 0, 0, 0x5110_8080 + 4 * 6),
    ("max78002", "SNP_AM", 2, 1, 0x5310_8080 + 4 * 23),
]

# (device, memory, group, instance, word, address): registers.md 2
WORDS = [
    ("max78000", "bias", 1, 0, 3, 0x5050_800C),
    ("max78000", "kernel", 0, 15, 4, 0x5018_0000 + 15 * 0x4000 + 16),
    ("max78000", "data", 2, 3, 8191, 0x50C0_0000 + 3 * 0x8000 + 0x7FFC),
    ("max78000", "tram", 0, 1, 0, 0x5011_4000),
    ("max78002", "bias", 3, 0, 2047, 0x5418_0000 + 4 * 2047),
    ("max78002", "kernel", 1, 0, 4 * 5119, 0x5240_0000 + 16 * 5119),
    ("max78002", "data", 0, 1, 20479, 0x5180_0000 + 0x2_0000 + 4 * 20479),
]


@pytest.mark.parametrize(("device", "name", "group", "index", "address"), ADDRESSES)
def test_address_and_back(device, name, group, index, address):
    registers = MAPS[device]
    assert registers.address(name, group, index) == address
    place = registers.locate(address)
    assert (place.register.name, place.group or 0, place.index) == (name, group, index)


@pytest.mark.parametrize(("device", "name", "group", "instance", "word", "address"), WORDS)
def test_memory_address_and_back(device, name, group, instance, word, address):
    registers = MAPS[device]
    assert registers.memory(name).address(group, instance, word) == address
    place = registers.locate_memory(address)
    assert (place.memory.name, place.group, place.instance, place.word) == (
        name, group, instance, word,
    )  # fmt: skip


def test_layer_of_a_place():
    registers = MAPS["max78000"]
    assert registers.locate(0x5010_0010 + 4 * 7).layer == 7
    assert registers.locate(0x5010_0000).layer is None


def test_worked_example_of_the_fact_sheet():
    # registers.md 8.1, MAX78000 layer 1, group 0
    registers = MAPS["max78000"]
    assert registers.encode("RCNT", count=17, pad=1) == 0x0001_0011
    lctl = registers.encode(
        "LCTL", fixed=1, pool=1, maximum=1, relu=1, shared_source=1, sources=0b0010
    )
    assert lctl == 0x2BA0
    post = registers.encode("POST", bias=1, bias_offset=10, shift=4, weight_size=3)
    assert post == 0x00C0_900A


@pytest.mark.parametrize("device", MAPS)
def test_every_address_is_found_once(device):
    registers = MAPS[device]
    seen = set()
    for register in registers.registers.values():
        for group in range(registers.groups if register.per_group else 1):
            for index in range(register.count):
                address = registers.address(register.name, group, index)
                assert address not in seen
                assert registers.locate(address).register is register
                assert registers.locate_memory(address) is None
                seen.add(address)


@given(data=st.data(), device=st.sampled_from(sorted(MAPS)))
def test_decode_returns_what_encode_was_given(data, device):
    registers = MAPS[device]
    register = registers.register(data.draw(st.sampled_from(sorted(registers.registers))))
    free = {
        name: field
        for name, field in register.fields.items()
        if not any(f.mask & field.mask for n, f in register.fields.items() if n != name)
    }
    values = {n: data.draw(st.integers(0, f.limit - 1), label=n) for n, f in free.items()}
    word = register.encode(**values)
    assert word & ~register.used == 0
    decoded = register.decode(word)
    assert {name: decoded[name] for name in values} == values


@given(data=st.data(), device=st.sampled_from(sorted(MAPS)))
def test_a_value_that_does_not_fit_is_an_error(data, device):
    registers = MAPS[device]
    register = registers.register(data.draw(st.sampled_from(sorted(registers.registers))))
    field = data.draw(st.sampled_from(list(register.fields.values())))
    value = data.draw(st.integers(field.limit, 1 << 40) | st.integers(-(1 << 40), -1))
    with pytest.raises(RegisterError, match=f"does not fit `{register.name}.{field.name}`"):
        register.encode(**{field.name: value})


def test_names_that_do_not_exist_are_errors():
    registers = MAPS["max78000"]
    with pytest.raises(RegisterError, match="no register `NXTLYR`"):
        registers.encode("NXTLYR", stop=1)
    with pytest.raises(RegisterError, match="no field `gain`"):
        registers.encode("CTL", gain=1)
    with pytest.raises(RegisterError, match="no copy 32"):
        registers.address("POST", 0, 32)
    with pytest.raises(RegisterError, match="no group 4"):
        registers.address("CTL", 4)
    with pytest.raises(RegisterError, match="outside `data`"):
        registers.memory("data").address(0, 0, 8192)


@pytest.mark.parametrize("address", [0, 0x5010_0001, 0x5000_0018, 0x5010_0010 + 0x80 * 19 + 4])
def test_nothing_is_found_between_the_registers(address):
    assert MAPS["max78000"].locate(address) is None


def test_nothing_is_found_behind_a_memory():
    assert MAPS["max78000"].locate_memory(0x5018_0000 + 768 * 16) is None
    assert MAPS["max78002"].locate_memory(0x5180_0000 + 81920) is None


def test_a_wrong_map_is_refused(tmp_path: Path):
    path = tmp_path / "registers.toml"
    head = 'device = "x"\ngroups = 1\ngroup_stride = 4\n[memories]\n[registers.A]\naddress = 0\n'
    path.write_text(head + 'scope = "planet"\nsource = ""\n[registers.A.fields]\n')
    with pytest.raises(RegisterError, match="unknown scope `planet`"):
        RegisterMap.load(path)
    path.write_text(head + 'scope = "chip"\nsource = ""\n[registers.A.fields]\nf = [3, 2, "m"]\n')
    with pytest.raises(RegisterError, match=r"`A\.f` is not"):
        RegisterMap.load(path)
