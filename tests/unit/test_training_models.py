"""The architectures have the vendor's numbers of parameters and become layers of the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ai8xc.driver import Options, compile_graph, load, load_module  # noqa: E402 - torch may be absent
from ai8xc.ir.interp import run  # noqa: E402
from ai8xc.training import export, layers  # noqa: E402
from ai8xc.training.models import MODELS, device_part  # noqa: E402

COUNTS = {
    "ai85net5": (71_148, 10, (10,)),
    "ai85netextrasmall": (2_504, 10, (10,)),
    "ai85netwide": (108_480, 10, (10,)),
    "ai85net80wide": (82_128, 10, (10,)),
    "ai85net80expansion": (26_832, 10, (10,)),
    "ai85net6": (485_868, 0, (10,)),
    "ai85squeezenet": (754_368, 0, (10,)),
    "ai85nascifarnet": (347_840, 932, (100,)),
    "ai85simplenet": (381_792, 1_220, (100,)),
    "ai85simplenetwide2x": (725_128, 1_500, (100,)),
    "ai85ressimplenet": (381_792, 0, (100,)),
    "ai85kws20net": (126_490, 0, (21,)),
    "ai85kws20netv2": (368_576, 0, (21,)),
    "ai85kws20netv2batchnorm": (368_576, 969, (21,)),
    "ai85kws20netv3": (169_472, 653, (21,)),
    "ai87kws20netv3": (148_928, 653, (21,)),
    "ai85kws20netnas": (424_448, 1_493, (21,)),
    "ai85afsknet": (13_824, 114, (2,)),
    "ai85cdnet": (57_776, 194, (2,)),
    "ai85faceidnet": (176_048, 288, (512, 1, 1)),
    "ai85faceidnet_112": (890_720, 1_296, (64,)),
    "ai87netmobilefacenet_112": (844_416, 7_296, (64,)),
    "ai85tinierssd": (335_520, 816, (1700, 4)),
    "ai85tinierssdface": (275_184, 536, (1246, 4)),
    "ai85tinierssdqr": (368_352, 544, (1548, 12)),
    "ai87fpndetector": (2_177_088, 3_414, (10_200, 4)),
    "ai85unetsmall": (62_956, 212, (4, 80, 80)),
    "ai85unetmedium": (110_252, 360, (4, 80, 80)),
    "ai85unetlarge": (278_176, 908, (64, 88, 88)),
    "ai85autoencoder": (136_448, 352, (256, 3)),
    "ai85actiontcn": (375_264, 933, (5,)),
    "bayer2rgbnet": (174, 0, (3, 128, 128)),
    "ai87netmobilenetv2": (3_469_760, 8_640, (1000,)),
    "ai87netmobilenetv2cifar100": (1_991_104, 8_576, (100,)),
    "ai87netmobilenetv2cifar100_m0_75": (1_341_960, 6_508, (100,)),
    "ai87netmobilenetv2cifar100_m0_5": (627_712, 7_888, (100,)),
    "ai87effnetv2": (753_952, 5_236, (100,)),
    "ai87imageneteffnetv2": (1_686_080, 5_544, (1000,)),
    "ai85nasnet_sequential_cifar100": (1_380_032, 1_572, (100,)),
    "ai85nasnet_sequential_kws20": (1_157_632, 1_813, (21,)),
}
"""Weights, biases and output of each network as the vendor's program builds it."""


def built(name: str) -> torch.nn.Module:
    info = MODELS[name]
    torch.manual_seed(0)
    with layers.use_device(info.device):
        return info.build().eval()


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_outputs(name: str) -> None:
    net = built(name)
    weights, biases, shape = COUNTS[name]
    parameters = dict(net.named_parameters())
    counted = [
        sum(p.numel() for key, p in parameters.items() if key.endswith(end))
        for end in ("op.weight", "op.bias")
    ]
    assert counted == [weights, biases]
    given = MODELS[name].shape
    x = torch.zeros(1, *((15, *given) if name == "ai85actiontcn" else given))
    with torch.no_grad():
        found = net(x)
    assert (found[0] if isinstance(found, tuple) else found).shape[1:] == shape


def test_the_vendor_shaped_network_of_mnist_has_71158_parameters() -> None:
    assert sum(p.numel() for p in built("ai85net5").parameters()) == 71_158


def test_detectors_have_a_prior_for_each_row() -> None:
    for name in ("ai85tinierssd", "ai85tinierssdface", "ai85tinierssdqr", "ai87fpndetector"):
        net = built(name)
        with torch.no_grad():
            locs, scores = net(torch.zeros(1, *MODELS[name].shape))
        assert locs.shape[1] == scores.shape[1] == len(net.get_buffer("priors_cxcy"))


@pytest.mark.parametrize("name", ["ai85netextrasmall", "ai85afsknet", "ai85tinierssd"])
def test_integers(name: str) -> None:
    """The whole table is compiled by `benchmarks/models.py`; these are the small ones."""
    net = device_part(layers.set_mode(built(name), "simulate"))
    x = np.random.default_rng(0).integers(-128, 128, (2, *MODELS[name].shape))
    graph = load_module(net, x[0])
    with torch.no_grad():
        wanted = net(torch.from_numpy(x).float())
    found = run(graph, {graph.inputs[0].name: x.astype(np.int8)})
    for got, want in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_array_equal(got, want.numpy())


@pytest.mark.parametrize("name", ["ai85netextrasmall", "ai85afsknet"])
def test_the_whole_road(name: str) -> None:
    info = MODELS[name]
    x = np.random.default_rng(0).integers(-128, 128, info.shape)
    told: list[str] = []
    graph = load_module(layers.set_mode(built(name), "simulate"), x)
    options = Options(info.device, sample=x, emit=frozenset({"c"}), prove=told.append)
    assert "cnn.c" in compile_graph(graph, options).files
    assert "lower-to-reg" in told[-1]


@pytest.mark.parametrize(
    ("name", "bits"), [("ai85netextrasmall", 8), ("ai85netextrasmall", 4), ("ai85ressimplenet", 8)]
)
def test_both_forms_with_integers_are_the_same_program(
    name: str, bits: int, tmp_path: Path
) -> None:
    """`benchmarks/exports.py` shows it of all architectures."""
    pytest.importorskip("onnxscript")
    info, net = MODELS[name], built(name)
    for layer in net.modules():
        if isinstance(layer, layers.HardwareLayer):
            layer.bits = bits
    (tmp_path / "net.pt2").write_bytes(export.torch_program(net, info.shape))
    (tmp_path / "net.onnx").write_bytes(export.onnx_integers(net, info.shape))
    x = np.random.default_rng(0).integers(-128, 128, info.shape)
    emit = frozenset({"registers"})
    program = compile_graph(load(tmp_path / "net.pt2"), Options(info.device, sample=x, emit=emit))
    settings = {"quantize": {"weight_bits": bits}}
    options = Options(info.device, sample=x, emit=emit, settings=settings)
    model = compile_graph(load(tmp_path / "net.onnx"), options)
    for file in ("registers.json", "memory.npz"):
        assert program.files[file] == model.files[file]


def test_the_checkpoint_and_the_weights_are_those_of_the_network(tmp_path: Path) -> None:
    from safetensors.torch import load as load_weights

    net = built("ai85tinierssd")
    (tmp_path / "net.pth.tar").write_bytes(export.vendor_checkpoint(net, "ai85tinierssd"))
    found = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    assert found["arch"] == "ai85tinierssd"
    simulated = export.integers(net)
    other = layers.set_mode(built("ai85tinierssd"), "simulate")
    layers.load_checkpoint(other, found)
    for name, value in simulated.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    weights = load_weights(export.safetensors(net, "ai85tinierssd", "max78000"))
    assert weights.keys() == net.state_dict().keys()
