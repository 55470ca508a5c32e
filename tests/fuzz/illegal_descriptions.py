"""Random networks described for the vendor's tool that break one rule: a key, a value, a weight.

Each entry of `BREAKS` names the rule and changes a random description that is right: a chain of
convolutions, or one of the few forms that the rule is about.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import yaml

from ai8xc.device import Device, Feature
from ai8xc.driver import Options
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.ir.diag import Rejected, errors
from ai8xc.ir.types import Array
from ai8xc.survey import read, survey_model

Layer = dict[str, Any]
SIDE: Final = 8
OFFSETS: Final = (0, 0x2000, 0x4000, 0x6000)


@dataclass
class Described:
    """A description with its weights, sample and options; `text` stands for a document as it is."""

    random: Random
    device: Device
    layers: list[Layer] = field(default_factory=list)
    head: dict[str, Any] = field(default_factory=lambda: {"arch": "test", "dataset": "x"})
    arrays: dict[str, Array] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    sample: Array | None = None
    network: dict[str, object] = field(default_factory=dict)
    code: dict[str, object] = field(default_factory=dict)
    options: dict[str, object] = field(default_factory=dict)
    text: str | None = None

    @property
    def any(self) -> Layer:
        """One of the layers."""
        return self.random.choice(self.layers)

    @property
    def last(self) -> Layer:
        return self.layers[-1]

    def add(self, weight: tuple[int, ...] | None = None, bias: bool = False, **keys: Any) -> Layer:
        """Add a layer behind the last one, with weights of this shape."""
        number = len(self.layers)
        layer = {"out_offset": OFFSETS[(number + 1) % 4], **keys}
        if number and self.layers[-1].get("output_processors"):
            layer.setdefault("processors", self.layers[-1]["output_processors"])
        self.layers.append(layer)
        if weight is not None:
            index = sum(name.startswith("w") for name in self.arrays)
            seed = self.random.randrange(2**32)
            some = np.random.default_rng(seed)
            self.arrays[f"w{index}"] = some.integers(1, 64, weight, np.int8)
            if bias:
                self.arrays[f"b{index}"] = some.integers(1, 64, weight[:1], np.int8)
        return layer

    def conv(self, inputs: int, outputs: int, **keys: Any) -> Layer:
        """Add a 3x3 convolution between processors from 0 on."""
        given = {"op": "conv2d", "kernel_size": "3x3", "pad": 1, "activate": "relu"}
        masks = {"processors": lanes(inputs), "output_processors": lanes(outputs)}
        return self.add((outputs, inputs, 3, 3), **{**masks, **given, **keys})


def lanes(count: int) -> int:
    return (1 << count) - 1


def chain(random: Random, device: Device) -> Described:
    """One to four convolutions; the input has 8 x 8 pixels."""
    made = Described(random, device)
    widths = [random.choice([4, 8, 12]) for _ in range(random.randint(2, 5))]
    for inputs, outputs in itertools.pairwise(widths):
        made.conv(inputs, outputs, quantization=8)
    made.shape = (widths[0], SIDE, SIDE)
    return made


Break = Callable[[Described], None]


def key(name: str, *values: Any) -> Break:
    """Give any layer a key with one of these values."""

    def change(d: Described) -> None:
        d.any[name] = d.random.choice(values)

    return change


def last_key(name: str, *values: Any) -> Break:
    """Give the last layer a key with one of these values."""

    def change(d: Described) -> None:
        d.last[name] = d.random.choice(values)

    return change


def document(make: Callable[[str, Random], str]) -> Break:
    """Change the text of the document."""

    def change(d: Described) -> None:
        d.text = make(dumped(d), d.random)

    return change


def dumped(d: Described) -> str:
    return yaml.safe_dump({**d.head, "layers": d.layers}, sort_keys=False)


def top(name: str, *values: Any) -> Break:
    def change(d: Described) -> None:
        d.head[name] = d.random.choice(values)

    return change


def asked(**options: object) -> Break:
    """Ask for something that the device, or another option, has not."""

    def change(d: Described) -> None:
        d.code.update(options)

    return change


def copied(d: Described, **keys: Any) -> Layer:
    """Add a layer without operator behind the last one."""
    mask = d.last["output_processors"]
    given = {"op": "none", "processors": mask, "output_processors": mask}
    return d.add(**{**given, **keys})


def passing(**keys: Any) -> Break:
    return lambda d: void(copied(d, **keys))


def void(value: object) -> None:
    """Forget a value."""


def misspelt(d: Described) -> None:
    layer = d.any
    name = d.random.choice(["activaton", "kernel", "offset", "padding", "in_chanels", "foo"])
    layer[name] = 1


def two_names(d: Described) -> None:
    d.any["activation"] = "relu"


def no_processors(d: Described) -> None:
    del d.any["processors"]


def same_number(d: Described) -> None:
    number = d.random.randint(0, 9)
    d.layers[0]["sequence"] = number
    grow(d)
    d.last["sequence"] = number


def same_name(d: Described) -> None:
    grow(d)
    d.layers[0]["name"], d.last["name"] = d.random.choice([("a", "A"), ("one", "one")])


def grow(d: Described) -> None:
    """Add one more convolution."""
    count = d.last["output_processors"].bit_count()
    d.conv(count, d.random.choice([4, 8]), quantization=8)


def behind(change: Break) -> Break:
    """Break a description of two layers at least."""

    def both(d: Described) -> None:
        grow(d)
        change(d)

    return both


def forward(d: Described) -> None:
    d.layers[0]["in_sequences"] = [d.random.choice([0, len(d.layers) - 1])]


def unreached(d: Described) -> None:
    grow(d)
    grow(d)
    d.layers[-3]["next_sequence"] = len(d.layers) - 1
    inputs = d.layers[-3]["output_processors"]
    d.last["processors"] = inputs
    index = len(d.arrays) - 1
    weight = d.arrays[f"w{index}"]
    d.arrays[f"w{index}"] = np.resize(weight, (weight.shape[0], inputs.bit_count(), 3, 3))


def loop(d: Described) -> None:
    grow(d)
    d.last["next_sequence"] = 0


def fresh(make: Break) -> Break:
    """Start from nothing instead of a chain."""

    def change(d: Described) -> None:
        d.layers.clear()
        d.arrays.clear()
        make(d)

    return change


def sequence(d: Described, length: int = 16, **keys: Any) -> None:
    """One 1-D convolution on a sequence."""
    given = {"op": "conv1d", "kernel_size": 3, "pad": 1, "activate": "relu", "in_dim": length}
    d.add((4, 4, 3), processors=0xF, **{**given, **keys})
    d.shape = (4, length)


def transposed(d: Described, **keys: Any) -> None:
    """One transposed convolution."""
    given = {"op": "convtranspose2d", "kernel_size": "3x3", "pad": 1, "activate": "relu"}
    d.add((4, 4, 3, 3), processors=0xF, **{**given, **keys})
    d.shape = (4, SIDE, SIDE)


def matrix(d: Described, **keys: Any) -> None:
    """A flattening layer behind the chain."""
    count = d.last["output_processors"].bit_count()
    given = {"op": "linear", "flatten": True, "processors": d.last["output_processors"]}
    outputs = d.random.choice([2, 4, 10])
    d.add((outputs, count * SIDE * SIDE), **{**given, "activate": "none", **keys})


def operands(d: Described, sizes: tuple[int, int], **keys: Any) -> None:
    """Two layers that read the input, and one that reads both."""
    for number, outputs in enumerate(sizes):
        mask = lanes(outputs) if keys.get("eltwise") else lanes(outputs) << 4 * number
        layer = d.conv(4, outputs, output_processors=mask, out_offset=0x2000 + 4 * number)
        layer["in_offset"] = 0
        layer["processors"] = 0xF
        layer["in_sequences"] = "input"
        if keys.get("eltwise"):
            layer["write_gap"] = 1
    d.shape = (4, SIDE, SIDE)


def unequal_operands(d: Described) -> None:
    operands(d, (4, 8), eltwise="add")
    d.add(
        op="add", processors=0xF, output_processors=0xF, in_sequences=[0, 1], in_offset=0x2000,
    )  # fmt: skip


def unequal_sizes(d: Described) -> None:
    operands(d, (4, 4))
    d.layers[1]["pad"] = 0
    d.conv(8, 4, in_sequences=[0, 1], in_offset=0x2000, processors=0xFF)


def stacked_pixels(d: Described) -> None:
    unequal_sizes(d)
    d.last["processors"] = 0xF
    d.last["in_dim"] = [3, 3]
    d.arrays["w2"] = d.arrays["w2"][:, :4]


def wrong_size(d: Described) -> None:
    d.last["in_dim"] = [d.random.randint(9, 12), SIDE]


def large_pool(d: Described) -> None:
    d.last.update(max_pool=d.random.randint(9, 16), pool_stride=1)


def nothing_left(d: Described) -> None:
    d.last.update(max_pool=7, pool_stride=1, pad=0)


def no_channels(d: Described) -> None:
    """A flattening layer with fewer channels than pixels."""
    d.last.update(op="linear", flatten=True)


def strided_pool(d: Described) -> None:
    d.last.update(max_pool=2, pool_stride=2, stride=d.random.choice([2, 3]))


def other_kernel(d: Described) -> None:
    d.last.update(kernel_size="1x1", pad=0)


def biases(d: Described, values: Array) -> None:
    d.arrays[f"b{len(d.layers) - 1}"] = values
    for number, layer in enumerate(d.layers[:-1]):
        d.arrays[f"b{number}"] = np.ones(layer["output_processors"].bit_count(), np.int8)


def long_bias(d: Described) -> None:
    count = d.last["output_processors"].bit_count() + d.random.choice([-1, 1, 2])
    biases(d, np.ones(count, np.int8))


def large_bias(d: Described) -> None:
    values = np.ones(d.last["output_processors"].bit_count(), np.int64)
    values[0] = d.random.choice([128, 500, -129])
    biases(d, values)


def missing_weights(d: Described) -> None:
    grow(d)
    del d.arrays[f"w{len(d.layers) - 1}"]


def fractions(d: Described) -> None:
    for name, array in d.arrays.items():
        d.arrays[name] = array + 0.25


def strange_array(d: Described) -> None:
    d.arrays["weights"] = np.ones(3, np.int8)


def flat_weights(d: Described) -> None:
    d.arrays["w0"] = d.arrays["w0"].reshape(-1)


def named(d: Described) -> None:
    """A network that must have a checkpoint."""
    d.arrays.clear()


def grouped(d: Described) -> None:
    d.last["groups"] = 3
    d.arrays[f"w{len(d.layers) - 1}"] = np.ones((4, 1, 3, 3), np.int8)
    d.last["output_processors"] = 0xF


def grouped_matrix(d: Described) -> None:
    matrix(d, groups=d.random.choice([2, 4]))


def channels_of_sample(d: Described) -> None:
    assert d.shape is not None
    d.layers[0]["in_channels"] = d.shape[0]
    d.shape = (d.shape[0] + d.random.randint(1, 3), SIDE, SIDE)


def size_of_sample(d: Described) -> None:
    d.layers[0]["in_dim"] = [SIDE, SIDE]
    assert d.shape is not None
    d.shape = (d.shape[0], SIDE + d.random.randint(1, 3), SIDE)


def cut(text: str, random: Random) -> str:
    return text + random.choice(["  - [1", "a: {b", "x: 'y", "\t- a\n"])


def twice(text: str, random: Random) -> str:
    return text.replace("  op: conv2d\n", "  op: conv2d\n  op: conv2d\n", 1)


def enormous(text: str, random: Random) -> str:
    return text.replace("out_offset: 8192", "out_offset: 8" + "1" * random.randint(20, 99), 1)


def jump(d: Described) -> None:
    grow(d)
    d.layers[-2]["next_sequence"] = len(d.layers) + d.random.randint(3, 9)


def overwritten(d: Described) -> None:
    """The last layer writes where it reads."""
    grow(d)
    d.last["in_offset"] = d.layers[-2]["out_offset"]
    d.last["out_offset"] = d.last["in_offset"] + 4 * d.random.randint(1, 8)


def elsewhere(d: Described) -> None:
    """The last layer reads where nobody wrote."""
    grow(d)
    d.layers[-2]["out_offset"] = 0x5000
    d.last["in_offset"] = 0x1000 + 4 * d.random.randint(100, 300)
    d.last["out_offset"] = 0x7000


def large_sample(d: Described) -> None:
    assert d.shape is not None
    d.sample = np.full(d.shape, d.random.choice([128, 400, -129]), np.int64)


def no_numbers(d: Described) -> None:
    assert d.shape is not None
    d.sample = np.ones(d.shape, np.bool_)


BREAKS: Final[tuple[tuple[str, Break], ...]] = (
    ("CFG-YAML", document(cut)),
    ("CFG-DUPKEY", document(twice)),
    ("CFG-SIZE", document(enormous)),
    ("CFG-KEY", top("layer", 1, "x")),
    ("CFG-MANDATORY", lambda d: void(d.head.pop(d.random.choice(["arch", "dataset"])))),
    ("CFG-VALUE", key("out_offset", "far", -4, [1])),
    ("LAYER-KEY", misspelt),
    ("LAYER-DUPALIAS", two_names),
    ("PROC-MISSING", no_processors),
    ("PROC-RANGE", key("processors", 0, -1, "zz", [1])),
    ("QUANT-VALUE", key("quantization", 3, 5, 16, 0)),
    ("OUTWIDTH-VALUE", key("output_width", 16, 24, 0)),
    ("ACT-VALUE", key("activate", "silu", "sigmoid", 1)),
    ("OP-VALUE", key("op", "conv3d", "lstm", "mul")),
    ("ELT-VALUE", key("eltwise", "mul", "max", "and")),
    ("OPERANDS-RANGE", key("operands", 1, 17, 40)),
    ("OPERANDS-ELT", last_key("operands", 2, 3, 16)),
    ("PAD-NEG", key("pad", -1, -2)),
    ("OPAD-NEG", key("output_pad", -1, -2)),
    ("INDIM-FORM", key("in_dim", [1, 2, 3], "8x8", 0)),
    ("DATAFMT-VALUE", key("data_format", "nchw", "middle")),
    ("STRIDE-FORM", key("stride", [1, 2], [2, 1])),
    ("STRIDE-POOL", strided_pool),
    ("POOLDIL-POOL", last_key("pool_dilation", 2, [2, 2])),
    ("NAME-RES", key("name", "stop", "input", "Stop")),
    ("NAME-DUP", same_name),
    ("NAME-UNKNOWN", last_key("in_sequences", "nowhere", 77)),
    ("BUF-SHIFT", key("buffer_shift", 0, -1, "a")),
    ("BUF-INSERT", key("buffer_insert", 0, -1, "a")),
    ("BUF-USE", key("buffer_shift", 1, 2)),
    ("BUF-KEYS", top("data_buffer", [{"name": "b"}], [{"processors": 1, "channels": 1}])),
    ("UNLOAD-KEYS", top("unload", [{"processors": 1}], [{"offset": 0}])),
    ("SEQ-DUP", same_number),
    ("SEQ-IN-FWD", forward),
    ("SEQ-UNREACHED", unreached),
    ("SEQ-LOOP", loop),
    ("SNOOP-SEQ", key("snoop_sequence", -1, "a")),
    ("DIM-POOL0", large_pool),
    ("DIM-OUT0", nothing_left),
    ("DIM-CAT", fresh(unequal_sizes)),
    ("DIM-CATPIX", fresh(stacked_pixels)),
    ("DIM-DATA", behind(wrong_size)),
    ("DIM-2D1D", lambda d: void(sequence_behind(d))),
    ("IN-CAT-CHAN", fresh(unequal_operands)),
    ("LINEAR-KERNEL", lambda d: matrix(d, kernel_size="1x1")),
    ("CONV2D-STRIDE", key("stride", 2, 3, [2, 2])),
    ("CONV1D-STRIDE", fresh(lambda d: sequence(d, stride=d.random.choice([2, 3])))),
    ("X2D-STRIDE", fresh(lambda d: transposed(d, stride=d.random.choice([1, 3])))),
    ("X2D-OPAD", fresh(lambda d: transposed(d, output_pad=d.random.choice([0, 2])))),
    ("X2D-DIL", fresh(lambda d: transposed(d, dilation=2))),
    ("OPAD-OTHER", last_key("output_pad", 1, 2)),
    ("KERNEL-WEIGHTS", other_kernel),
    ("FLAT-KERNEL", lambda d: d.last.update(flatten=True)),
    ("FLAT-OP", passing(flatten=True)),
    ("DIL-OP", passing(dilation=2)),
    ("PASS-ACT", passing(activate="relu")),
    ("PASS-PAD", passing(pad=1)),
    ("PASS-SHIFT", passing(output_shift=1)),
    ("PASS-WIDTH", passing(output_width=32)),
    ("GROUPS-DIV", behind(grouped)),
    ("DW-FLATTEN", grouped_matrix),
    ("BIAS-LEN", long_bias),
    ("BIAS-RANGE", large_bias),
    ("NET-WCOUNT", missing_weights),
    ("NET-CKPT", named),
    ("CK005", fractions),
    ("CK006", strange_array),
    ("WEIGHT-SHAPE", flat_weights),
    ("INP-SIZE", lambda d: setattr(d, "shape", None)),
    ("INP-CHAN", channels_of_sample),
    ("INP-DIM", size_of_sample),
    ("NET-START-RANGE", lambda d: d.options.update(start_layer=len(d.layers) + 1)),
    ("NET-PIPE", asked(pipeline=True)),
    ("NET-PLL", asked(pll=True)),
    ("NET-MAXSPEED", asked(max_speed=True, pll=False)),
    ("NET-RISCV", asked(deep_sleep=True)),
    ("FFIFO-RISCV", asked(input_mode="fast-fifo")),
    ("NET-ONESHOT-TIMER", asked(one_shot=True, timer=0)),
    ("MEM-OVER-IN", overwritten),
    ("OPROC-NEXT", elsewhere),
    ("INP-RANGE", large_sample),
    ("INP-DTYPE", no_numbers),
)


def sequence_behind(d: Described) -> None:
    """A 1-D convolution on data of rows and columns."""
    mask = d.last["output_processors"]
    given = {"op": "conv1d", "kernel_size": 3, "pad": 1, "activate": "relu", "processors": mask}
    d.add((4, mask.bit_count(), 3), **given)


def rules_of(d: Described, folder: Path) -> set[str]:
    """Return the rules that `check` finds broken."""
    (folder / "net.yaml").write_text(dumped(d) if d.text is None else d.text)
    weights = None
    if d.arrays:
        weights = folder / "w.npz"
        np.savez(weights, **d.arrays)  # type: ignore[arg-type] # arrays by name
    given = NetworkOptions(
        d.device, weights, None, d.shape, network=d.network, **d.options,  # type: ignore[arg-type] # by name
    )  # fmt: skip
    options = Options(d.device.name, network=d.network, code=d.code, sample=d.sample)
    try:
        found = survey_model(read(folder / "net.yaml", given), options).diagnostics
    except Rejected as rejected:
        found = tuple(rejected.diagnostics)
    return {finding.rule.id for finding in errors(found)}


HAVING: Final[Mapping[str, Feature]] = {
    "GROUPS-DIV": "depthwise",
    "DW-FLATTEN": "depthwise",
    "NET-ONESHOT-TIMER": "one-shot",
    "SEQ-UNREACHED": "link-layer",
    "NET-START-RANGE": "link-layer",
}
"""What is possible to break alone on devices with a feature."""
LACKING: Final[Mapping[str, Feature]] = {"NET-PIPE": "pipeline", "NET-PLL": "pll"}
"""The same, on devices without it."""


def possible(rule: str, device: Device) -> bool:
    """Whether a description for a device can break a rule and no other."""
    with_it, without = HAVING.get(rule), LACKING.get(rule)
    return (with_it is None or device.has(with_it)) and (without is None or not device.has(without))


def illegal_description(
    random: Random, device: Device, entry: tuple[str, Break] | None = None
) -> tuple[str, Described]:
    """Return the rule that is broken, and a description that breaks it."""
    rule, change = entry or random.choice([x for x in BREAKS if possible(x[0], device)])
    made = chain(random, device)
    change(made)
    return rule, made
