"""Networks described for the vendor's tool: what they become, and everything wrong with them."""

from __future__ import annotations

import io
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

import ai8xc
from ai8xc.device import load_device
from ai8xc.dialects import ai8x
from ai8xc.frontend.vendor_network import read_network
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_parameters import Skip
from ai8xc.frontend.vendor_sample import synthesized
from ai8xc.ir.core import Graph
from ai8xc.ir.diag import Rejected
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.passes.check_placement import CheckPlacement
from ai8xc.passes.forget_placement import ForgetPlacement

HEAD = "arch: test\ndataset: x\nlayers:\n"
CONV = """\
  - processors: 0x0000000000000003
    out_offset: 0x2000
    op: conv2d
    kernel_size: 3x3
    pad: 1
    activate: relu
"""
LINEAR = """\
  - processors: 0x0000000000000007
    op: linear
    flatten: true
    output_width: 32
    activate: none
"""

BUFFER = """\
data_buffer:
  - {name: buf, processors: 3, channels: 2, dim: 8, offset: 0}
"""


def arrays(**named: object) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.int8) for name, value in named.items()}


WEIGHTS = arrays(w0=np.ones((3, 2, 3, 3)), b0=[1, 2, 3], w1=np.ones((5, 48)))


def read(
    folder: Path, text: str, weights: dict[str, np.ndarray] = WEIGHTS, **options: object
) -> Graph:
    (folder / "net.yaml").write_text(text)
    np.savez(folder / "w.npz", **weights)
    given = {"device": load_device("max78000"), "input_shape": (2, 4, 4), **options}
    given.setdefault("weights", folder / "w.npz")
    return read_network(folder / "net.yaml", NetworkOptions(**given))[0]  # type: ignore[arg-type] # options by name


def refused(folder: Path, text: str, **given: object) -> list[tuple[str, int]]:
    """Rule and line of each error."""
    with pytest.raises(Rejected) as caught:
        read(folder, text, **given)  # type: ignore[arg-type] # options by name
    found = [d for d in caught.value.diagnostics if d.severity == "error"]
    return [(d.rule.id, d.loc.line) for d in found]


def test_layers_weights_and_defaults(tmp_path: Path) -> None:
    graph = read(tmp_path, HEAD + CONV + LINEAR)
    conv, linear = ai8x.layers(graph.ops)
    assert conv.type.shape == (1, 3, 4, 4)
    assert linear.type.shape == (1, 5, 1, 1)
    assert linear.type.element == "i32"
    assert conv.place is not None
    assert linear.place is not None
    assert conv.place.output_processors == 7, "the processors of the layer behind"
    assert linear.place.in_offset == 0x2000, "where the layer in front has written"
    assert linear.place.output_processors == 0x1F, "the lowest ones"
    assert conv.loc.line == 4


def test_names_and_aliases(tmp_path: Path) -> None:
    text = """\
  - {processors: ffff, operation: conv2d, name: A, activation: ReLU, out_offset: 8192}
  - {processors: 0x00ff.00ff_0000, op: conv2d, in_sequences: a, output_processors: 1}
"""
    weights = arrays(w0=np.ones((16, 2, 3, 3)), w1=np.ones((1, 16, 3, 3)))
    graph = read(tmp_path, HEAD + text, weights, input_shape=(2, 8, 8))
    first, second = ai8x.layers(graph.ops)
    assert isinstance(first, ai8x.Weighted)
    assert (first.name, first.activation) == ("A", "relu")
    assert second.place is not None
    assert second.place.processors == 0x00FF00FF0000


def test_everything_at_once_with_lines(tmp_path: Path) -> None:
    text = """\
  - processors: 0x3
    kernel_size: 3x3
    paddings: 1
  - processors: 0x7
    op: none
    activate: relu
    pad: 1
  - op: linear
    quantization: 3
    in_sequences: nowhere
"""
    found = dict(refused(tmp_path, HEAD + text + "foo: 1\n"))
    assert found["LAYER-KEY"] == 6
    assert found["PASS-ACT"] == 9
    assert found["PASS-PAD"] == 10
    assert found["PROC-MISSING"] == 11
    assert found["QUANT-VALUE"] == 12
    assert found["NAME-UNKNOWN"] == 13
    assert found["CFG-KEY"] == 14


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (HEAD + CONV + "    pad: 1\n", "CFG-DUPKEY"),
        (HEAD + CONV + "    activation: relu\n", "LAYER-DUPALIAS"),
        (HEAD + CONV.replace("0x2000", "0x2000000000000000000"), "CFG-SIZE"),
        (HEAD + CONV.replace("0x2000", "9" * 5000), "CFG-SIZE"),
        (HEAD + "  - &a [*a]\n", "CFG-SIZE"),
        ("a: !!python/object/apply:os.system [ls]", "CFG-YAML"),
        (HEAD + CONV.replace("3x3", "1x1"), "KERNEL-WEIGHTS"),
        (HEAD + CONV + "    stride: 2\n", "CONV2D-STRIDE"),
        (HEAD + CONV + "    output_pad: 1\n", "OPAD-OTHER"),
        (HEAD + CONV + "    in_dim: [4, 5]\n", "INP-DIM"),
        (HEAD + CONV + "    operands: 2\n", "OPERANDS-ELT"),
        (HEAD + CONV + "    name: input\n", "NAME-RES"),
        (HEAD + CONV + "    in_sequences: [0]\n", "SEQ-IN-FWD"),
        (HEAD + CONV + "    sequence: 3\n" + LINEAR + "    sequence: 3\n", "SEQ-DUP"),
        ("arch: test\ndataset: x\n", "CFG-MANDATORY"),
        ("", "CFG-MANDATORY"),
        (HEAD + CONV.replace("conv2d", "[1]"), "OP-VALUE"),
        (HEAD + CONV + "    in_sequences: buf\n" + BUFFER, "BUF-USE"),
        (HEAD + CONV + "    buffer_insert: 1\n" + BUFFER, "BUF-USE"),
        (HEAD + CONV + "data_buffer: [{name: b}]\n", "BUF-KEYS"),
        (HEAD + CONV + "unload: [{processors: 1}]\n", "UNLOAD-KEYS"),
        (HEAD + CONV + "    in_dim: [4, 4]\n    max_pool: 5\n", "DIM-POOL0"),
        (
            HEAD + CONV.replace("pad: 1", "pad: 0").replace("3x3", "3x3") + "    max_pool: 3\n",
            "DIM-OUT0",
        ),
    ],
)
def test_refused(tmp_path: Path, text: str, rule: str) -> None:
    assert rule in dict(refused(tmp_path, text))


def test_alias_bomb_ends_soon(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    start = time.monotonic()
    assert refused(tmp_path, "\n".join(lines)) == [("CFG-SIZE", 1)]
    assert time.monotonic() - start < 5


def test_missing_surplus_and_wrong_weights(tmp_path: Path) -> None:
    text = HEAD + CONV + LINEAR
    assert refused(tmp_path, text, weights={"w0": WEIGHTS["w0"]}) == [("NET-WCOUNT", 10)]
    more = {**WEIGHTS, "w2": WEIGHTS["w1"]}
    assert refused(tmp_path, text, weights=more) == [("NET-WCOUNT", 0)]
    short = {**WEIGHTS, "b0": WEIGHTS["b0"][:2]}
    assert refused(tmp_path, text, weights=short) == [("BIAS-LEN", 4)]
    assert refused(tmp_path, text, weights={**WEIGHTS, "c": WEIGHTS["b0"]}) == [("CK006", 0)]
    turned = {**WEIGHTS, "w0": WEIGHTS["w1"], "w1": WEIGHTS["w0"]}
    assert ("KERNEL-WEIGHTS", 7) in refused(tmp_path, text, weights=turned)


def torch_checkpoint(path: Path, state: dict[str, np.ndarray], arch: str = "test") -> Path:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array.astype(np.float32)) for name, array in state.items()}
    torch.save({"state_dict": tensors, "epoch": 1, "arch": arch}, path)
    return path


STATE = {
    "conv1.op.weight": np.full((3, 2, 3, 3), 2.0),
    "conv1.op.bias": np.array([128.0, -256.0, 384.0]),
    "conv1.output_shift": np.array([-1.0]),
    "conv1.weight_bits": np.array([8.0]),
    "fc.op.weight": np.full((5, 48), 3.0),
}


def test_checkpoint(tmp_path: Path) -> None:
    path = torch_checkpoint(tmp_path / "q.pth.tar", STATE)
    graph = read_with(tmp_path, path)
    conv, linear = ai8x.layers(graph.ops)
    assert isinstance(conv, ai8x.Weighted)
    assert isinstance(linear, ai8x.Weighted)
    assert isinstance(conv.bias, ai8x.Constant)
    assert conv.bias.value.array.tolist() == [1, -2, 3]
    assert conv.output_shift == -1
    assert isinstance(linear.weight, ai8x.Constant)
    assert linear.weight.value.array.max() == 3


def read_with(folder: Path, path: Path, text: str = HEAD + CONV + LINEAR, **more: object) -> Graph:
    (folder / "net.yaml").write_text(text)
    given = {"device": load_device("max78000"), "input_shape": (2, 4, 4), "weights": path, **more}
    return read_network(folder / "net.yaml", NetworkOptions(**given))[0]  # type: ignore[arg-type] # options by name


def test_what_a_checkpoint_holds_is_used_or_skipped(tmp_path: Path) -> None:
    state = {**STATE, "head.op.weight": np.ones((2, 5)), "head.bn": np.ones(3)}
    path = torch_checkpoint(tmp_path / "q.pth.tar", state)
    with pytest.raises(Rejected) as caught:
        read_with(tmp_path, path)
    told = str(caught.value) + str([d.notes for d in caught.value.diagnostics])
    assert "NET-WCOUNT" in told
    assert "`head`" in told
    assert "`head.bn`" in told
    skip = Skip(patterns=("head", "head.*"))
    assert len(ai8x.layers(read_with(tmp_path, path, skip=skip).ops)) == 2


def test_checkpoint_of_another_network(tmp_path: Path) -> None:
    path = torch_checkpoint(tmp_path / "q.pth.tar", STATE, arch="other")
    with pytest.raises(Rejected, match="NET-ARCH"):
        read_with(tmp_path, path)


def test_checkpoint_that_is_not_quantised(tmp_path: Path) -> None:
    state = {name: array / 7 for name, array in STATE.items() if name.endswith("weight")}
    path = torch_checkpoint(tmp_path / "q.pth.tar", state)
    with pytest.raises(Rejected, match="CK005"):
        read_with(tmp_path, path)


class Evil:
    def __init__(self, victim: str) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path(self.victim),))  # type: ignore[return-value] # what an attacker does


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    content = io.BytesIO()
    for value in (119547037146038801333356, 1001, {}, {"state_dict": Evil(str(victim))}, []):
        pickle.dump(value, content, protocol=2)
    (tmp_path / "evil.pth.tar").write_bytes(content.getvalue())
    with pytest.raises(Rejected) as caught:
        read_with(tmp_path, tmp_path / "evil.pth.tar")
    assert caught.value.unusable
    assert not victim.exists()


def test_raw_sequences(tmp_path: Path) -> None:
    with (tmp_path / "w.npy").open("wb") as file:
        np.save(file, WEIGHTS["w0"])
        np.save(file, WEIGHTS["w1"])
    with (tmp_path / "b.npy").open("wb") as file:
        np.save(file, WEIGHTS["b0"])
    graph = read_with(tmp_path, tmp_path / "w.npy", bias=tmp_path / "b.npy")
    conv, linear = ai8x.layers(graph.ops)
    assert isinstance(conv, ai8x.Weighted)
    assert isinstance(linear, ai8x.Weighted)
    assert conv.bias is not None
    assert linear.bias is None


def test_a_header_cannot_take_memory(tmp_path: Path) -> None:
    with (tmp_path / "w.npy").open("wb") as file:
        shape = {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)}
        np.lib.format.write_array_header_1_0(file, shape)
    with pytest.raises(Rejected, match="ends within an array"):
        read_with(tmp_path, tmp_path / "w.npy")


def test_onnx_weights(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    stored = {
        "w": np.full((3, 2, 3, 3), 5, np.float32),
        "b": np.full(3, 256, np.float32),
        "m": np.full((48, 5), -2, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv"),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], name="fc"),
    ]
    values = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in "xy"]
    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], tensors)
    onnx.save(helper.make_model(graph), tmp_path / "w.onnx")
    conv, linear = ai8x.layers(read_with(tmp_path, tmp_path / "w.onnx").ops)
    assert isinstance(conv, ai8x.Weighted)
    assert isinstance(linear, ai8x.Weighted)
    assert (conv.weight_bits, linear.weight_bits) == (4, 2)
    assert isinstance(conv.bias, ai8x.Constant)
    assert conv.bias.value.array.tolist() == [2, 2, 2]


def test_weights_of_another_layer(tmp_path: Path) -> None:
    text = """\
  - {processors: 3, op: conv2d, activate: none, out_offset: 8192, name: one}
  - {processors: 3, op: conv2d, activate: none, weight_source: one}
"""
    weights = arrays(w0=np.full((2, 2, 3, 3), 3), b0=[1, 2])
    first, second = ai8x.layers(read(tmp_path, HEAD + text, weights).ops)
    assert isinstance(first, ai8x.Weighted)
    assert isinstance(second, ai8x.Weighted)
    assert isinstance(first.weight, ai8x.Constant)
    assert isinstance(second.weight, ai8x.Constant)
    assert first.weight.value == second.weight.value
    assert second.bias is not None


def test_layers_left_out_on_purpose(tmp_path: Path) -> None:
    graph = read(tmp_path, HEAD + CONV + LINEAR, stop_after=0)
    (conv,) = ai8x.layers(graph.ops)
    assert conv.place is not None
    assert conv.place.output_processors == 7, "as in the whole network"


def test_python_interface(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(HEAD + CONV + LINEAR)
    np.savez(tmp_path / "w.npz", **WEIGHTS)  # type: ignore[arg-type] # arrays by name
    sample = np.arange(32, dtype=np.int8).reshape(2, 4, 4)
    result = ai8xc.compile(
        tmp_path / "net.yaml", sample=sample, weights=tmp_path / "w.npz", emit=["registers"]
    )
    assert "registers.json" in result.files
    assert "OP-DEFAULT" not in {d.rule.id for d in result.diagnostics}


def test_a_layer_that_cannot_be_made_is_still_compared_with_the_limits(tmp_path: Path) -> None:
    offset = CONV.replace("0x2000", "0xc0000").replace("pad: 1", "pad: 0")
    one = arrays(w0=np.ones((3, 2, 3, 3)))
    found = refused(tmp_path, HEAD + offset, weights=one, input_shape=(2, 2, 2))
    assert found == [("DIM-OUT0", 4), ("OFFS-RANGE", 5)]
    many = arrays(w0=np.ones((5, 49)))
    found = refused(tmp_path, HEAD + LINEAR, weights=many, input_shape=(3, 17, 16))
    assert ("FLAT-HW", 6) in found


def test_layers_behind_one_that_is_left_out(tmp_path: Path) -> None:
    """What follows from the missing layer is not reported; the start layer is the option's."""
    add = "  - {processors: 7, op: add, in_sequences: [0, 1], out_offset: 0x4000}\n"
    text = HEAD + CONV + CONV.replace("003", "007") + add
    weights = arrays(w0=np.ones((3, 2, 3, 3)), w1=np.ones((3, 3, 3, 3)))
    found = refused(tmp_path, text, weights=weights, start_layer=2)
    assert found == [("NET-START", 4), ("SEQ-IN-FWD", 16), ("SEQ-IN-FWD", 16)]
    on_large = refused(
        tmp_path, text, weights=weights, start_layer=2, device=load_device("max78002")
    )
    assert on_large == [("SEQ-IN-FWD", 16), ("SEQ-IN-FWD", 16)]


def test_writing_over_the_input_is_the_users_wish(tmp_path: Path) -> None:
    """Behind the reads, too: the vendor's tool refuses it without the option."""
    over = CONV.replace("0x2000", "0x0").replace("pad: 1", "pad: 0")
    weights = arrays(w0=np.ones((3, 2, 3, 3)))
    graph = read(tmp_path, HEAD + over, weights)
    with pytest.raises(Rejected, match="behind its reads: `--overlap-data` allows that"):
        run_pipeline(graph, [CheckPlacement()], PassContext(load_device("max78000")))
    wished = read(tmp_path, HEAD + over, weights, network={"overlap": True})
    run_pipeline(wished, [CheckPlacement()], PassContext(load_device("max78000")))
    assert "in_place" not in run_pipeline(graph, [ForgetPlacement()], PassContext()).attributes


def test_a_value_that_is_missing_has_no_consequences(tmp_path: Path) -> None:
    found = refused(tmp_path, HEAD + CONV.replace("0x0000000000000003", "0") + LINEAR)
    assert found == [("PROC-RANGE", 4)]
    unknown = CONV.replace("conv2d", "mul")
    assert refused(tmp_path, HEAD + unknown + LINEAR) == [("OP-VALUE", 6)]


def test_weights_in_another_order_are_named(tmp_path: Path) -> None:
    swapped = arrays(w0=np.ones((3, 3, 3, 3)), w1=np.ones((3, 2, 3, 3)))
    text = HEAD + CONV + CONV.replace("003", "007").replace("0x2000", "0x4000")
    with pytest.raises(Rejected) as caught:
        read(tmp_path, text, swapped)
    notes = [note for d in caught.value.diagnostics for note in d.notes]
    assert "the channels are those of its weights `w0`, 3x3x3x3" in notes
    assert "the channels are those of its weights `w1`, 3x2x3x3" in notes


def test_overwritten_data_are_told_with_bytes_and_steps(tmp_path: Path) -> None:
    first = CONV + CONV.replace("003", "007")
    last = CONV.replace("003", "007").replace("0x2000", "0x4000")
    text = HEAD + first.replace("0x2000", "0x2100", 1) + last
    text = text.replace("0x4000", "0x4000\n    in_sequences: [0]\n    in_offset: 0x2100")
    text = text.replace("out_offset: 0x2000", "out_offset: 0x2104")
    weights = arrays(w0=np.ones((3, 2, 3, 3)), w1=np.ones((3, 3, 3, 3)), w2=np.ones((3, 3, 3, 3)))
    graph = read(tmp_path, text, weights)
    with pytest.raises(Rejected) as caught:
        run_pipeline(graph, [CheckPlacement()], PassContext(load_device("max78000")))
    own, other = (d.message for d in caught.value.diagnostics if d.rule.id == "MEM-OVER-IN")
    assert "`layer1` overwrites its own input at byte 8452, memory 0, up to byte 8511" in own
    assert "written in step 1 and read in step 2; bytes 8452 to 8508 of memory 0" in other


def test_words_are_synthesised_for_a_fifo_only() -> None:
    sample = np.zeros((1, 4, 4), np.int64)
    assert synthesized(sample, 1, 8, fifo=True).shape == sample.shape
    with pytest.raises(Rejected, match="--fifo"):
        synthesized(sample, 1, 8, fifo=False)
