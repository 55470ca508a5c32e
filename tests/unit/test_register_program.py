"""The plain view of register programs: worked examples of the memory description, and files."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from ai8xc.backends.ai8x.backend import Ai8xBackend
from ai8xc.backends.ai8x.lower_to_reg import LowerToReg
from ai8xc.backends.ai8x.pack_weights import packed_list, plain_list
from ai8xc.backends.ai8x.unload import unload_words
from ai8xc.backends.base import Output
from ai8xc.device import load_device
from ai8xc.dialects import ai8x, reg
from ai8xc.dialects.settings import Settings
from ai8xc.driver import compile as compile_model
from ai8xc.ir.core import Data, Graph, Input, Mask, Op, Word, make_graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.printer import print_graph
from ai8xc.ir.types import TensorType
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.passes.hardware.sample import Sample

DEVICE = (("device", "max78000"),)


def program(*ops: Op) -> reg.Program:
    outputs = tuple(op for op in ops if isinstance(op, reg.Unload))
    return reg.Program.of(make_graph("net", "reg", ops, outputs, DEVICE))


def test_loader_lists() -> None:
    """Two columns of processor 17: memory description, section 1.10."""
    columns = np.array([range(1, 10), range(0x11, 0x1A)], np.uint8)
    built = program(reg.Kernels(17, 4, Data(columns)))
    packed = [0x50584010, 5, 0x01020304, 0x05060708, 0x09111213, 0x14151617, 0x18190000, 0]
    assert packed_list(built).tolist() == packed
    head = [0x50584040, 8, 0x1, 0x02030405, 0x06070809, 0, 0x11, 0x12131415, 0x16171819, 0, 0]
    assert plain_list(built).tolist() == head


def test_places_of_outputs() -> None:
    """Channel by lane and memory, pass by pass, with a gap: memory description, section 3.1."""
    narrow = reg.Unload(Mask(0b11110), 5, 1, 2, offset=8, gap=1)
    address, lane = program(narrow).output_places(narrow)
    assert lane[:, 0, 0].tolist() == [1, 2, 3, 0, 1]
    assert address[0, 0].tolist() == [0x50400000 + 8, 0x50400000 + 8 + 4 * 4]
    assert address[3, 0].tolist() == [0x50408000 + 8, 0x50408000 + 8 + 4 * 4]
    assert address[4, 0].tolist() == [0x50400000 + 8 + 8, 0x50400000 + 8 + 8 + 4 * 4]


def test_wide_outputs_take_a_word_a_lane() -> None:
    wide = reg.Unload(Mask(0b11111), 5, 1, 1, wide=True)
    built = program(wide)
    address, _ = built.output_places(wide)
    assert address.reshape(-1).tolist() == [0x50400000 + 4 * c for c in range(4)] + [0x50408000]
    memory = dict.fromkeys(address.reshape(-1).tolist(), -5 & 4294967295)
    assert built.read_output(wide, memory.__getitem__).reshape(-1).tolist() == [-5] * 5


def test_unloaded_words_are_padded() -> None:
    words = unload_words([np.array([1, 2, -1], np.int8), np.array([[3]], np.int8)])
    assert words.tolist() == [0x03FF0201]
    assert unload_words([np.array([1], np.int8)]).tolist() == [1]


def test_accesses() -> None:
    built = program(
        reg.Write("cnn_init", "CTL", 1, word=Word(8)),
        reg.Poll("cnn_init", "SRAM_TEST", mask=Word(4), word=Word(4)),
        reg.Modify("CNN_ISR", "CTL", clear=Word(0x1001)),
    )
    assert [function.name for function in built.functions] == ["cnn_init", "CNN_ISR"]
    assert [access.as_json() for access in built.function("cnn_init").accesses] == [
        [0x50500000, 8],
        {"op": "poll", "address": 0x5010000C, "mask": 4, "value": 4},
    ]
    assert built.function("cnn_stop").accesses == ()


def small_graph() -> Graph:
    x = Input(TensorType((1, 2, 3, 3), "i8"), name="x")
    weight = ai8x.Constant(Data(np.array([[[[1]], [[2]]]], np.int8)))
    place = ai8x.Place(Mask(3), Mask(1), out_offset=1024)
    layer = ai8x.Conv2d(xs=(x,), weight=weight, output_shift=7, place=place, name="sum")
    return make_graph("net", "ai8x", [layer], [layer])


def lowered(*given: object) -> Graph:
    ctx = PassContext(load_device("max78000"), *given)
    return run_pipeline(small_graph(), [AllocateKernels(), AllocateBiases(), LowerToReg()], ctx)


def test_files() -> None:
    """What `--emit registers` writes, with the sums worked out here."""
    data = np.arange(18).reshape(1, 2, 3, 3)
    out = Output()
    graph = lowered(Sample((data / 128,)))
    Ai8xBackend().emit("registers", graph, PassContext(), out)
    registers = json.loads(out.files["registers.json"])
    assert registers["device"] == "max78000"
    names = ["cnn_init", "cnn_configure", "cnn_start", "cnn_stop", "cnn_continue", "CNN_ISR"]
    assert [function["name"] for function in registers["functions"]] == names
    assert registers["functions"][2]["writes"][-1] == [0x50100000, 0x00100009]
    arrays = np.load(io.BytesIO(out.files["memory.npz"]))
    sums = data[0, 0] + 2 * data[0, 1]
    assert arrays["output"].tolist() == [sums.tolist()]
    assert arrays["expected_value"].tolist() == sums.reshape(-1).tolist()
    assert set(arrays["expected_mask"].tolist()) == {0xFF}
    assert arrays["expected_address"][0] == 0x50400000 + 1024
    assert arrays["input_value"][0] == 9 << 8
    assert arrays["weights_value"].tolist()[:4] == [0, 0, 1, 0]
    assert arrays["unload"].dtype == np.uint32


def test_without_sample_there_are_no_answers() -> None:
    built = reg.Program.of(lowered())
    assert built.expected == ()
    assert built.loads == ()
    assert len(built.unloads) == 1


def test_settings_are_attributes() -> None:
    settings = Settings(input_mode="fast-fifo-quad", pipeline=False, snoop=(1, 2))
    graph = settings.on(small_graph())
    assert dict(graph.attributes) == {
        "input_mode": "fast-fifo-quad",
        "pipeline": False,
        "snoop": (1, 2),
    }
    assert Settings.of(graph) == settings
    assert Settings().on(graph).attributes == ()


def test_a_graph_without_device() -> None:
    graph = make_graph("net", "reg", [reg.Write("f", "CTL")], ())
    with pytest.raises(ValueError, match="does not say"):
        reg.Program.of(graph)


def test_a_placed_graph_is_compiled(tmp_path: Path) -> None:
    path = tmp_path / "net.ir"
    path.write_text(print_graph(small_graph()))
    result = compile_model(path, "max78002", emit=["registers"])
    assert set(result.files) == {"registers.json", "memory.npz", "ai8xc.json"}
    assert json.loads(result.files["registers.json"])["device"] == "max78002"
    again = compile_model(path, "max78002", emit=["registers"])
    assert again.files == result.files


def test_a_pipeline_that_ends_too_early(tmp_path: Path) -> None:
    path = tmp_path / "net.ir"
    path.write_text(print_graph(small_graph()))
    with pytest.raises(Rejected, match="IR064") as rejected:
        compile_model(path, emit=["registers"], pipeline="allocate-kernels")
    assert rejected.value.unusable
