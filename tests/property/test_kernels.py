"""Kernels of random layers, found again in the memory image by the rules of the decoder.

The decoder follows the register description, sections 11.3, 11.7 and 11.8: it reads registers and
columns only and shares nothing with the packer.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ai8xc.backends.ai8x.lower_to_reg import LowerToReg
from ai8xc.device import load_device
from ai8xc.dialects import ai8x, reg
from ai8xc.ir.core import Data, Input, Mask, make_graph
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.types import TensorType
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.registers import load_registers

RANGES = {8: (-128, 127), 4: (-8, 7), 2: (-2, 1), 1: (-1, 0)}


@dataclass(frozen=True)
class Shape:
    """A random layer: kernel rows x columns, weight bits, channels, where it reads and writes."""

    device: str
    kernel: tuple[int, int]
    bits: int
    channels: int
    outputs: int
    first: int
    output_processors: int
    seed: int


def lanes(channels: int) -> int:
    passes = -(-channels // 64)
    each = -(-channels // passes)
    return each if channels <= 64 else min(-(-each // 4) * 4, 64)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    channels = draw(st.integers(1, 150))
    outputs = draw(st.integers(1, 20) | st.sampled_from([64, 72, 130]))
    width = lanes(outputs)
    room = 64 - width
    if outputs <= 64 and draw(st.booleans()):  # anywhere, with holes
        count = outputs
        chosen = draw(st.lists(st.integers(0, 63), min_size=count, max_size=count, unique=True))
        mask = sum(1 << processor for processor in chosen)
    else:
        start = draw(st.integers(0, room // 4)) * 4
        mask = ((1 << width) - 1) << start
    return Shape(
        draw(st.sampled_from(["max78000", "max78002"])),
        draw(st.sampled_from([(1, 1), (3, 3), *((k, 0) for k in range(1, 10))])),
        draw(st.sampled_from(sorted(RANGES))),
        channels,
        outputs,
        draw(st.integers(0, 64 - lanes(channels))),
        mask,
        draw(st.integers(0, 2**16)),
    )


def layer_of(shape: Shape, weights: np.ndarray) -> ai8x.Layer:
    place = ai8x.Place(
        Mask(((1 << lanes(shape.channels)) - 1) << shape.first),
        Mask(shape.output_processors),
    )
    element = f"i{shape.bits}"
    one_d = shape.kernel[1] == 0
    x = Input(TensorType((1, shape.channels, 12, 1 if one_d else 12), "i8"), name="x")
    weight = ai8x.Constant(Data(weights), element)
    common = {"xs": (x,), "weight": weight, "place": place}
    return ai8x.Conv1d(**common) if one_d else ai8x.Conv2d(**common)


def decoded(program: reg.Program, shape: Shape) -> np.ndarray:
    """The weights as the hardware would find them, outputs x channels x taps."""
    registers = load_registers(shape.device)
    fields: dict[str, dict[str, int]] = {}
    for op in program.graph.ops:
        if isinstance(op, reg.Write) and op.function == "cnn_configure":
            fields.setdefault(op.register, registers.decode(op.register, op.word))

    def field(register: str, name: str) -> int:
        return fields.get(register, {}).get(name, 0)

    memory = {
        (run.processor, run.column + i): columns
        for run in program.kernels
        for i, columns in enumerate(run.data.array.tolist())
    }
    passes = field("LCTL2", "passes") + 1
    columns = field("LCTL2", "columns") // shape.bits + 1
    start = field("MCNT", "start") if registers.has("MCNT") else field("MCNT2", "start")
    skip = field("ONED", "first_tap")
    taps = shape.kernel[0] * max(shape.kernel[1], 1)
    enabled = range(shape.first, shape.first + lanes(shape.channels))
    written = [p for p in range(64) if shape.output_processors >> p & 1]
    found = np.zeros((shape.outputs, shape.channels, taps), int)
    for output in range(shape.outputs):
        number, rank = divmod(output, len(written))
        column = number * columns + written[rank] - written[0] // 4 * 4
        for channel in range(shape.channels):
            each, position = divmod(channel, len(enabled))
            place = start + (column * passes + each) * shape.bits
            for tap in range(taps):
                byte = place // 8 * taps + skip + taps - 1 - tap
                word = memory[enabled[position], byte // 9][8 - byte % 9]
                value = word >> place % 8 & (1 << shape.bits) - 1
                high = 1 << shape.bits - 1
                found[output, channel, tap] = (value ^ high) - high
    return found


@given(shapes())
@settings(max_examples=40, deadline=None)
def test_kernels_are_found_again(shape: Shape) -> None:
    random = np.random.default_rng(shape.seed)
    low, high = RANGES[shape.bits]
    kernel = shape.kernel if shape.kernel[1] else shape.kernel[:1]
    size = (shape.outputs, shape.channels, *kernel)
    weights = random.integers(low, high + 1, size).astype(np.int8)
    layer = layer_of(shape, weights)
    graph = make_graph("net", "ai8x", [layer], [layer])
    ctx = PassContext(load_device(shape.device))
    steps = [AllocateKernels(start=random.integers(0, 5).item() * 4), AllocateBiases()]
    lowered = run_pipeline(graph, [*steps, LowerToReg()], ctx)
    program = reg.Program.of(lowered)
    expected = weights.reshape(shape.outputs, shape.channels, -1)
    assert np.array_equal(decoded(program, shape), expected)
