"""Networks of the layer library are imported with their integers, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - torch may be absent

from ai8xc.driver import Options, compile_graph, load_module  # noqa: E402
from ai8xc.frontend.torch_export import exported, import_module  # noqa: E402
from ai8xc.frontend.torch_model import read_pt2  # noqa: E402
from ai8xc.ir.core import Graph  # noqa: E402
from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.ir.interp import run  # noqa: E402
from ai8xc.training import layers  # noqa: E402


def samples(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(-128, 128, shape)


def simulated(net: nn.Module, bits: int = 8, quantile: float = 1.0) -> nn.Module:
    for layer in net.modules():
        if isinstance(layer, layers.HardwareLayer):
            layer.bits, layer.quantile = bits, quantile
    return layers.set_mode(net, "simulate").eval()


def check(graph: Graph, net: nn.Module, x: np.ndarray) -> None:
    with torch.no_grad():
        wanted = net(torch.from_numpy(x).float())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = run(graph, {graph.inputs[0].name: x.astype(np.int8)})
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want.numpy())


PRESETS = [
    name
    for name in layers.__all__
    if isinstance(getattr(layers, name), type)
    and issubclass(getattr(layers, name), layers.HardwareLayer)
    and name != "HardwareLayer"
]


SHAPES = {"Linear": (40,), "1d": (8, 12), "": (8, 12, 12)}


def preset(name: str) -> nn.Module:
    """Return a layer of a class, for inputs of the shape above."""
    make = getattr(layers, name)
    if name.startswith(("MaxPool", "AvgPool")):
        return make(2)
    if "Linear" in name:
        return make(40, 10, bias=True)
    more = {"stride": 2} if "Transpose" in name else {}
    return make(8, 8, 3, padding=1, bias=True, **more)


class Every(nn.Module):
    """Many layers with one input, side by side."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: preset(name) for name in names})

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(layer(x) for layer in self.layers.values())


@pytest.mark.parametrize(("kind", "bits"), [("", 8), ("1d", 2), ("Linear", 8)])
def test_every_layer(kind: str, bits: int) -> None:
    """Abs: the device rounds in front of it, the vendor's simulation behind it; 1 apart at ties."""
    others = [name for name in SHAPES if name]
    chosen = [n for n in PRESETS if kind in n and (kind or not any(o in n for o in others))]
    torch.manual_seed(bits)
    with layers.use_device("max78002"):
        net = simulated(Every(chosen), bits)
    x = samples(3, *SHAPES[kind])
    graph = import_module(net, x[0].astype(np.float32))
    assert graph.level == "q"
    with torch.no_grad():
        wanted = net(torch.from_numpy(x).float())
    found = run(graph, {graph.inputs[0].name: x.astype(np.int8)})
    for name, got, want in zip(chosen, found, wanted, strict=True):
        difference = np.abs(got - want.numpy())
        assert difference.max() <= ("Abs" in name), name
        assert (difference > 0).mean() < 0.02 or bits < 8, name


@pytest.mark.parametrize("name", ["Add", "Sub", "BitwiseOr", "BitwiseXor"])
@pytest.mark.parametrize("count", [2, 3])
def test_elementwise(name: str, count: int) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(layers.Conv2d(4, 4, 1) for _ in range(count))
            self.combine = getattr(layers, name)()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.combine(*(conv(x) for conv in self.convs))

    torch.manual_seed(3)
    with layers.use_device("max78000"):
        net = simulated(Net())
    x = samples(3, 4, 5, 5)
    check(import_module(net, x[0].astype(np.float32)), net, x)


class Mixed(nn.Module):
    """Branches, a layer that is called twice, reshapes, a wide output and a narrow one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = layers.FusedConv2dBNReLU(1, 8, 3, padding=1, bias=True)
        self.second = layers.FusedAvgPoolConv2dReLU(8, 8, 3, padding=1, bias=True)
        self.again = layers.Conv2d(8, 8, 1, bias=True)
        self.resid = layers.Add()
        self.pool = layers.MaxPool2d(2)
        self.up = layers.ConvTranspose2d(16, 4, 3, stride=2, padding=1, bias=True)
        self.drop = nn.Dropout(0.5)
        self.fc = layers.Linear(64, 10, bias=True, wide=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.second(self.first(x))
        z = self.resid(y, self.again(y))
        z = torch.cat([z, self.drop(self.again(z))], dim=1)
        z = self.up(self.pool(z))
        return self.fc(z.flatten(1)), z


def mixed() -> nn.Module:
    torch.manual_seed(5)
    with layers.use_device("max78000"):
        return Mixed()


@pytest.mark.parametrize(("bits", "quantile"), [(8, 1.0), (4, 0.9), (1, 1.0)])
def test_networks(bits: int, quantile: float) -> None:
    net = simulated(mixed(), bits, quantile)
    x = samples(4, 1, 8, 8)
    graph = import_module(net, x[0].astype(np.float32))
    check(graph, net, x)
    assert {op.loc.nodes[0] for op in graph if op.opcode == "q.conv"} == {
        "first",
        "second",
        "again",
    }


def test_training_with_quantisation_is_compiled_with_its_integers() -> None:
    net = layers.set_mode(mixed(), "qat")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = samples(2, 1, 8, 8)
    graph = load_module(net, x[0])
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    check(graph, layers.set_mode(net, "simulate").eval(), x)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_the_whole_road(device: str) -> None:
    net = simulated(mixed(), 4)
    x = samples(1, 1, 8, 8)[0]
    told: list[str] = []
    options = Options(device, sample=x, emit=frozenset({"c"}), prove=told.append)
    assert compile_graph(load_module(net, x), options).files
    assert told


def test_files(tmp_path: Path) -> None:
    net = simulated(mixed())
    (tmp_path / "net.pt2").write_bytes(exported(net, torch.zeros(1, 1, 8, 8)))
    check(read_pt2(tmp_path / "net.pt2"), net, samples(2, 1, 8, 8))


def rejected(net: nn.Module) -> list[str]:
    with pytest.raises(Rejected) as error:
        import_module(net, np.zeros((1, 8, 8), np.float32))
    return [finding.rule.id for finding in error.value.diagnostics]


def test_layers_of_different_modes() -> None:
    net = simulated(mixed())
    layers.set_mode(net.again, "qat")
    assert "NN017" in rejected(net)


def test_arithmetic_between_layers() -> None:
    class Scaled(Mixed):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.first(x) * 3

    with layers.use_device("max78000"):
        assert rejected(simulated(Scaled())) == ["NN011"]


def test_layers_that_compute_something_else() -> None:
    class Own(layers.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).sin()

    with layers.use_device("max78000"):
        net = simulated(nn.Sequential(Own(1, 4, 3)))
    assert rejected(net) == ["NN018"]


def test_integers_that_do_not_fit() -> None:
    net = simulated(mixed())
    net.first.op.weight.data[0, 0, 0, 0] = 300
    assert rejected(net) == ["NN018"]
