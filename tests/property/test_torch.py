"""Random torch networks mean the same at every level, and run on the devices."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - torch may be absent

from ai8xc.driver import Options, compile_graph, load_module  # noqa: E402
from ai8xc.frontend.torch_export import import_module  # noqa: E402
from ai8xc.ir.interp import run  # noqa: E402


class Random(nn.Module):
    """A chain of blocks, some with a second branch that is added or joined."""

    def __init__(self, blocks: list[tuple[str, int]], classes: int) -> None:
        super().__init__()
        channels = 3
        self.blocks = nn.ModuleList()
        self.joins: list[str] = []
        for kind, width in blocks:
            branch = nn.Conv2d(channels, width, 1) if kind in ("add", "cat") else nn.Identity()
            body = [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            if kind in ("max", "avg"):
                body.insert(0, nn.MaxPool2d(2) if kind == "max" else nn.AvgPool2d(2))
            self.blocks.append(nn.ModuleList([nn.Sequential(*body), branch]))
            self.joins.append(kind)
            channels = 2 * width if kind == "cat" else width
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for (body, branch), join in zip(self.blocks, self.joins, strict=True):
            if join == "add":
                x = torch.relu(body(x) + branch(x))
            elif join == "cat":
                x = torch.cat([body(x), branch(x)], 1)
            else:
                x = body(x)
        return self.head(x)


@st.composite
def networks(draw: st.DrawFn) -> Random:
    kinds = st.sampled_from(["plain", "max", "avg", "add", "cat"])
    blocks = draw(st.lists(st.tuples(kinds, st.integers(1, 6).map(lambda n: 4 * n)), max_size=3))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    network = Random(blocks, draw(st.integers(2, 10)))
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return network.eval()


RANDOM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(RANDOM, max_examples=12)
@given(networks(), st.integers(0, 2**16))
def test_import(network: Random, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, (2, 3, 16, 16)).astype(np.float32)
    graph = import_module(network, x[0])
    with torch.no_grad():
        wanted = network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(run(graph, {"x": x})[0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("device", ["max78000", "max78002"])
def test_the_whole_road(device: str) -> None:
    torch.manual_seed(0)
    network = Random([("plain", 8), ("add", 8), ("max", 12), ("cat", 8)], 10).eval()
    x = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16)).astype(np.float32)
    told: list[str] = []
    graph = load_module(network, x)
    result = compile_graph(
        graph, Options(device, sample=x, emit=frozenset({"c"}), prove=told.append)
    )
    assert "cnn.c" in result.files
    assert told
