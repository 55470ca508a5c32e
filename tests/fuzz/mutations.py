"""Descriptions of the vendor's networks with a few things changed: some are legal, some are not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random

import numpy as np

from ai8xc.ir.types import Array
from fuzz.described_networks import Layer, Mutant, bases, load

GROUP = 16
ALL = (1 << 64) - 1
OPTIONS = """
--fifo
--mlator
--riscv
--zero-sram
--write-zero-registers
--powerdown
--avg-pool-rounding
--stop-start
--no-mexpress
--no-pipeline
--no-pll
--link-layer
--one-shot
--calcx4
--read-ahead
--no-bias
--ignore-activation
--simple1b
--no-fifo-wait
--overlap-data
--ext-rdy
--no-deduplicate-weights
--fast-fifo --riscv
--fast-fifo-quad --riscv
--fifo --fifo-go
--weight-start 64
--output-width 32
--input-offset 0x1000
--stop-after 0
--start-layer 1
--repeat-layers 2
--prefix net
--replace
"""
"""Options of the vendor's cases, which are crossed with other cases' networks."""


def mutant(random: Random, device: str) -> Mutant:
    """Return a network with one to four changes, for a device."""
    found = None
    while found is None:
        found = load(random.choice(bases()))
    made = deepcopy(found)
    made.device = device
    made.flags = [flag for flag in made.flags if flag != "--no-kat"]  # an answer is to be judged
    for _ in range(random.choice([1, 1, 2, 3, 4])):
        change = random.choice(CHANGES)
        try:
            change(random, made)
        except (KeyError, IndexError, TypeError, ValueError):
            continue  # it does not go with this network
        made.changes.append(change.__name__)
    return made


def _some(random: Random, made: Mutant) -> tuple[int, Layer]:
    number = random.randrange(len(made.layers))
    return number, made.layers[number]


def _weights(made: Mutant, number: int) -> Array:
    found = made.weights[number]
    if found is None:
        raise ValueError("the layer has no weights")
    return found


def _values(random: Random, shape: tuple[int, ...], bits: object) -> Array:
    """Return random weights of so many bits."""
    generator = np.random.default_rng(random.randrange(1 << 30))
    if bits in ("bin", "binary"):
        return np.asarray(generator.integers(0, 2, shape) * 2 - 1)
    half = 1 << (bits if isinstance(bits, int) else 8) - 1
    return np.asarray(generator.integers(-half, half, shape))


def move_output(random: Random, made: Mutant) -> None:
    """Another offset, of the reader too where it has one."""
    number, layer = _some(random, made)
    layer["out_offset"] = random.choice(
        [0, 4, 0x100, 0x1000, 0x2002, 0x4000, 0x7FFC, 0x8000, 0x50000]
    )
    if number + 1 < len(made.layers) and "in_offset" in made.layers[number + 1]:
        made.layers[number + 1]["in_offset"] = layer["out_offset"]


def move_input(random: Random, made: Mutant) -> None:
    """Another place of the network's input."""
    made.layers[0]["in_offset"] = random.choice([0, 4, 0x400, 0x2000, 0x6000, 0x1FFFC])


def turn_groups(random: Random, made: Mutant) -> None:
    """All processors in other groups."""
    by = GROUP * random.randrange(1, 4)
    for layer in made.layers:
        for key in ("processors", "output_processors"):
            if key in layer:
                layer[key] = (layer[key] << by | layer[key] >> 64 - by) & ALL


def turn_one(random: Random, made: Mutant) -> None:
    """The processors of one layer, and the outputs of the one before, in another group."""
    number, layer = _some(random, made)
    by = random.choice([1, 4, GROUP, 2 * GROUP])
    layer["processors"] = (layer["processors"] << by | layer["processors"] >> 64 - by) & ALL
    if number and random.random() < 0.8:
        made.layers[number - 1]["output_processors"] = layer["processors"]


def shift(random: Random, made: Mutant) -> None:
    """Another shift, of more or less than the hardware has."""
    _some(random, made)[1]["output_shift"] = random.randrange(-24, 18)


def activate(random: Random, made: Mutant) -> None:
    """Another activation."""
    _some(random, made)[1]["activate"] = random.choice(["ReLU", "Abs", "None", "relu"])


def window(random: Random, made: Mutant) -> None:
    """Another kernel, its weights and padding."""
    number, layer = _some(random, made)
    weight = _weights(made, number)
    if weight.ndim == 2:
        raise ValueError("a matrix has no window")
    pads = [0, 1, 2, 2, 3]
    if weight.ndim == 4:
        size = random.choice([1, 3, 3, 5])
        layer["kernel_size"] = f"{size}x{size}"
        made.weights[number] = _values(
            random, (*weight.shape[:2], size, size), layer.get("quantization")
        )
    else:
        size = random.randrange(1, 11)
        layer["kernel_size"] = size
        made.weights[number] = _values(random, (*weight.shape[:2], size), layer.get("quantization"))
    layer["pad"] = random.choice(pads[: max(1, size)])


def pad(random: Random, made: Mutant) -> None:
    """Another padding."""
    _some(random, made)[1]["pad"] = random.randrange(4)


def pool(random: Random, made: Mutant) -> None:
    """Another pool."""
    _, layer = _some(random, made)
    for key in ("max_pool", "avg_pool", "pool_stride", "pool_dilation"):
        layer.pop(key, None)
    size = random.choice([2, 2, 3, 4, 16, 17, [2, 3], [1, 2]])
    layer[random.choice(["max_pool", "avg_pool"])] = size
    layer["pool_stride"] = random.choice([1, 2, 2, 3, 4, 16, 17, [1, 2]])
    if random.random() < 0.15:
        layer["pool_dilation"] = random.choice([1, 2, 3])


def quantize(random: Random, made: Mutant) -> None:
    """Weights of another width."""
    number, layer = _some(random, made)
    weight = _weights(made, number)
    layer["quantization"] = random.choice([1, 2, 4, 8, 8, "bin"])
    made.weights[number] = _values(random, weight.shape, layer["quantization"])


def unbiased(random: Random, made: Mutant) -> None:
    """No biases, or other ones."""
    number, _ = _some(random, made)
    weight = _weights(made, number)
    made.biases[number] = random.choice([None, _values(random, (len(weight),), 8)])


def fewer_outputs(random: Random, made: Mutant) -> None:
    """Another number of outputs of the last layer."""
    layer, weight = made.layers[-1], _weights(made, -1)
    count = random.choice([1, 3, len(weight) // 2, len(weight) + 1, 65, 100])
    made.weights[-1] = _values(random, (count, *weight.shape[1:]), layer.get("quantization"))
    if made.biases[-1] is not None:
        made.biases[-1] = _values(random, (count,), 8)
    if random.random() < 0.8:
        layer.pop("output_processors", None)
        made.network.pop("output_map", None)


def wide(random: Random, made: Mutant) -> None:
    """32-bit results."""
    layer = random.choice([made.layers[-1], _some(random, made)[1]])
    layer["output_width"] = random.choice([8, 32])
    if random.random() < 0.7:
        layer["activate"] = "None"


def gap(random: Random, made: Mutant) -> None:
    """Gaps between the words of a layer's output, which the next one may skip."""
    number, layer = _some(random, made)
    layer["write_gap"] = random.choice([1, 1, 2, 3, 15, 16])
    if random.random() < 0.7:
        made.layers[number + 1]["read_gap"] = layer["write_gap"]


def refer(random: Random, made: Mutant) -> None:
    """Inputs by number."""
    number, layer = _some(random, made)
    choices = [-1, *range(len(made.layers))]
    before = number - 1
    layer["in_sequences"] = random.choice(
        [[before], before, [before, random.choice(choices)], [random.choice(choices)]]
    )
    if random.random() < 0.3:
        layer["eltwise"] = random.choice(["add", "sub", "or", "xor"])


def combine(random: Random, made: Mutant) -> None:
    """Another element-wise operation."""
    found = [
        x for x in made.layers if x.get("eltwise") or str(x.get("op")).lower() in ("add", "sub")
    ]
    layer = random.choice(found)
    key = "eltwise" if "eltwise" in layer else "op"
    layer[key] = random.choice(["add", "sub", "or", "xor"])
    if random.random() < 0.3:
        layer["operands"] = random.choice([2, 3, 4, 17])
    if random.random() < 0.3:
        layer["pool_first"] = random.choice([True, False])


def stream(random: Random, made: Mutant) -> None:
    """The first layers stream, from a FIFO mostly."""
    depth = random.randrange(1, 4)
    for layer in made.layers:
        layer.pop("streaming", None)
    for layer in made.layers[:depth]:
        layer["streaming"] = True
    if "--fifo" not in made.flags and random.random() < 0.8:
        made.flags.append("--fifo")


def form(random: Random, made: Mutant) -> None:
    """The input in another order."""
    made.layers[0]["data_format"] = random.choice(["HWC", "CHW"])


def mode(random: Random, made: Mutant) -> None:
    """A key that says how a layer runs."""
    _, layer = _some(random, made)
    key, value = random.choice(
        [
            ("calcx4", True),
            ("readahead", True),
            ("tcalc", random.choice([True, False])),
            ("bypass", True),
            ("flatten", True),
            ("output", True),
            ("bias_group", random.randrange(5)),
            ("in_crop", [random.randrange(3), random.randrange(3)]),
            ("dilation", random.choice([1, 2, 3, 9])),
            ("groups", random.choice([2, 3, 64])),
            ("stride", random.choice([1, 2])),
            ("next_sequence", random.choice(["stop", 1, 2])),
            ("name", random.choice(["a", "input", "stop"])),
            ("in_channels", random.choice([1, 3, 64, 2000])),
            ("in_dim", random.choice([8, [4, 4], [16, 4]])),
            ("op", random.choice(["none", "conv2d", "conv1d", "linear", "convtranspose2d"])),
        ]
    )
    layer[key] = value


def leave_out(random: Random, made: Mutant) -> None:
    """A layer without one of its keys."""
    _, layer = _some(random, made)
    del layer[random.choice(sorted(layer))]


def options(random: Random, made: Mutant) -> None:
    """Options of another case."""
    made.flags += random.choice(OPTIONS.split("\n")[1:-1]).split()


def transpose(random: Random, made: Mutant) -> None:
    """Rows and columns of the input the other way round."""
    made.sample = np.ascontiguousarray(made.sample.swapaxes(1, 2))
    for layer in made.layers:
        if isinstance(layer.get("in_dim"), list):
            layer["in_dim"] = layer["in_dim"][::-1]


def swap(random: Random, made: Mutant) -> None:
    """Two layers in each other's place."""
    a, b = random.randrange(len(made.layers)), random.randrange(len(made.layers))
    for column in (made.layers, made.weights, made.biases):
        column[a], column[b] = column[b], column[a]


CHANGES: list[Callable[[Random, Mutant], None]] = [
    *(move_output, move_output, move_input, turn_groups, turn_one, shift, activate, window, window),
    *(pad, pool, pool, quantize, quantize, unbiased, fewer_outputs, wide, gap, refer, combine),
    *(stream, form, mode, mode, leave_out, options, options, transpose, swap),
]
