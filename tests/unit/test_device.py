"""The device descriptions against the fact sheet, and how they are found."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from ai8xc.device import Device, canonical_name, device_names, load_device
from ai8xc.registers import load_registers


def test_both_devices_are_installed():
    assert device_names() == ("max78000", "max78002")


@pytest.mark.parametrize("name", ["max78000", "MAX78000", "ai85", "AI85", "78000", "Max78000"])
def test_an_alias_means_the_device(name):
    assert canonical_name(name) == "max78000"
    assert load_device(name).name == "max78000"


def test_an_unknown_device_names_the_known_ones():
    with pytest.raises(KeyError, match="max78000, max78002"):
        load_device("max78001")


def test_totals():
    # registers.md 1: total weight bytes, data memory, bias memory
    small, large = load_device("max78000"), load_device("max78002")
    assert (small.kernel_bytes, large.kernel_bytes) == (442_368, 2_396_160)
    assert (small.data_bytes, large.data_bytes) == (512 * 1024, 1280 * 1024)
    assert (small.bias_bytes, large.bias_bytes) == (2048, 8192)
    assert small.processors == large.processors == 64
    assert large.kernel_columns_of(16) == 5120
    assert large.kernel_columns_of(17) == 4096


def test_features_differ():
    assert not load_device("max78000").has("depthwise")
    assert load_device("max78002").has("depthwise")


@pytest.mark.parametrize("name", ["max78000", "max78002"])
def test_description_and_register_map_agree(name):
    device, registers = load_device(name), load_registers(name)
    data, kernel = registers.memory("data"), registers.memory("kernel")
    assert registers.device == device.name
    assert registers.groups == device.groups
    assert 4 * data.words == device.data_memory_bytes
    assert data.instances * registers.groups == device.memories
    assert kernel.instances == device.processors_per_group
    assert kernel.size(1) == 4 * device.kernel_columns
    assert kernel.size(0) == 4 * device.kernel_columns_large
    assert registers.memory("bias").words == device.bias_bytes_per_group
    assert registers.memory("tram").words == device.tram_words
    assert registers.register("POST").count == device.max_layers
    assert registers.register("STREAM1").count == device.streaming.layers
    assert registers.register("STREAM1").field("start").limit == device.streaming.start_limit
    assert registers.register("STREAM2").field("delta1").limit == device.streaming.delta1_limit
    assert registers.register("STREAM2").field("delta2").limit == device.streaming.delta2_limit
    assert registers.register("STREAM2").field("invol").limit == device.streaming.invol_limit
    assert registers.register("FMAX").field("rollover").limit == device.streaming.rollover_limit
    assert registers.register("IFRM").field("words").limit == device.fifo.frame_limit


def test_a_description_is_closed_and_frozen(tmp_path):
    path = tmp_path / "device.toml"
    path.write_text('name = "x"\nwheels = 4\n')
    with pytest.raises(ValidationError, match="wheels"):
        Device.load(path)
    with pytest.raises(ValidationError, match="frozen"):
        load_device("max78000").groups = 5


def test_finding_a_device_imports_no_backend():
    code = (
        "import sys; from ai8xc.device import load_device; load_device('ai87');"
        "assert not [m for m in sys.modules if m.startswith('ai8xc.backends')], sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
