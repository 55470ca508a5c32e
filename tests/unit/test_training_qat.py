"""Policies, the start of QAT, calibrated thresholds, and what happens to the optimizer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402 - only where torch is

from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.training import layers  # noqa: E402
from ai8xc.training.calibration import Histogram, calibrate  # noqa: E402
from ai8xc.training.policy import QatPolicy, read_policy  # noqa: E402
from ai8xc.training.qat import (  # noqa: E402
    initiate_qat,
    load_optimizer_state,
    optimizer_state,
    update_optimizer,
)

VENDOR_POLICY = """---
start_epoch: 10
weight_bits: 2
shift_quantile: 0.985
overrides:
  conv1:
    weight_bits: 8
  fc:
    weight_bits: 4
    shift_quantile: 1.0
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = layers.FusedConv2dBNReLU(1, 8, 3, padding=1)
        self.conv2 = layers.FusedConv2dReLU(8, 8, 3, padding=1)
        self.add = layers.Add()
        self.conv3 = layers.FusedMaxPoolConv2dReLU(8, 8, 3, padding=1)
        self.fc = layers.Linear(8 * 4 * 4 * 2, 10, bias=True, wide=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.add(self.conv2(x), x)
        return self.fc(torch.cat((self.conv3(x), self.conv3(x)), 1).flatten(1))


def network(**options: Any) -> Net:
    torch.manual_seed(0)
    with layers.use_device("max78000", **options):
        return Net()


def batch(seed: int = 0, count: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-128, 128, (count, 1, 8, 8), generator=generator).float() / 128


# policies


def test_a_vendor_policy(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path / "p.yaml", VENDOR_POLICY))
    assert (policy.start_epoch, policy.bits("conv1"), policy.bits("fc")) == (10, 8, 4)
    assert (policy.bits("conv2"), policy.quantile("conv2"), policy.quantile("fc")) == (2, 0.985, 1)
    net = network()
    initiate_qat(net, policy)
    bits = {name: int(v) for name, v in net.state_dict().items() if name.endswith("weight_bits")}
    assert bits["conv1.weight_bits"] == 8
    assert bits["conv3.weight_bits"] == 2
    assert float(net.conv2.shift_quantile) == pytest.approx(0.985)
    assert net.conv1.bn is None
    assert {m.mode for m in net.modules() if isinstance(m, layers.HardwareLayer)} == {"qat"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("start_epoch: 1", 1, "weight_bits.*missing"),
        ("start_epoch: 1\nweight_bits: 3", 2, "weight_bits"),
        ("start_epoch: -1\nweight_bits: 8", 1, "start_epoch"),
        ("start_epoch: 1\nweight_bits: 8\nshift_quantil: 1", 3, "no such field"),
        ("start_epoch: 1\nweight_bits: 8\nshift_quantile: 1.5", 3, "shift_quantile"),
        ("start_epoch: 1\nweight_bits: 8\noverrides:\n  a:\n    bits: 1", 5, r"overrides\.a\.bits"),
        ("start_epoch: 1\nstart_epoch: 2", 2, "twice"),
        ("a: [", 1, "cannot be read"),
        ("", 1, "the file"),
        ("a: !!python/object/apply:os.system [true]", 1, "cannot be read"),
    ],
)
def test_bad_policies(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(Rejected, match=message) as caught:
        read_policy(written(tmp_path / "p.yaml", text))
    assert caught.value.unusable
    assert caught.value.diagnostics[0].loc.line == line


def test_absent_policies(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="QT001"):
        read_policy(tmp_path / "none.yaml")


def test_overrides_name_layers() -> None:
    policy = QatPolicy.model_validate(
        {"start_epoch": 1, "weight_bits": 8, "overrides": {"conv4": {"weight_bits": 4}}}
    )
    with pytest.raises(Rejected, match=r"overrides\.conv4") as caught:
        initiate_qat(network(), policy)
    assert "conv" in str(caught.value.diagnostics[0].help)


# optimizers


def steps(net: nn.Module, optimizer: torch.optim.Optimizer, count: int = 3) -> None:
    for i in range(count):
        optimizer.zero_grad()
        net(batch(i)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_the_optimizer_goes_on_after_the_fold(kind: Any) -> None:
    net = network()
    optimizer = kind(
        net.parameters(), lr=1e-3, **({} if kind is torch.optim.Adam else {"momentum": 0.9})
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1])
    steps(net, optimizer)
    kept = copy.deepcopy(optimizer.state[net.conv2.op.weight])
    saved = optimizer_state(net, optimizer)
    initiate_qat(net, QatPolicy(start_epoch=1, weight_bits=8))
    update_optimizer(net, optimizer)
    names = {name for name, _ in net.named_parameters()}
    assert set(optimizer_state(net, optimizer)["state"]) == names
    assert all(
        torch.equal(torch.as_tensor(v), torch.as_tensor(optimizer.state[net.conv2.op.weight][k]))
        for k, v in kept.items()
    )
    schedule.step()
    steps(net, optimizer, 1)
    other = network()
    initiate_qat(other, QatPolicy(start_epoch=1, weight_bits=8))
    fresh = kind(other.parameters(), lr=1.0)
    load_optimizer_state(other, fresh, saved)  # saved before the fold
    assert fresh.param_groups[0]["lr"] == 1e-3
    assert len(fresh.state) == len(names)
    steps(other, fresh, 1)


# thresholds


def test_a_threshold_fits_the_values() -> None:
    """Values up to 3: 4 is the power of two above; a single outlier is left out."""
    histogram = Histogram()
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        histogram.add(torch.rand(5000, generator=generator) * 6 - 3)
    assert histogram.threshold(8.0) == 2
    histogram.add(torch.cat((torch.rand(50000, generator=generator), torch.tensor([900.0]))))
    assert histogram.threshold(8.0) == 2
    _, counts = histogram.merged()
    assert counts.sum() == pytest.approx(70001)


def test_constant_outputs_have_a_threshold() -> None:
    histogram = Histogram()
    histogram.add(torch.zeros(100))
    assert histogram.threshold(8.0) <= 1
    with pytest.raises(layers.LayerError, match="not finite"):
        histogram.add(torch.tensor([float("nan")]))


def calibrated() -> Net:
    net = network(shift_rule="calibrated")
    with torch.no_grad():
        net.conv1.bn.weight.mul_(5)
        net.conv2.op.weight.mul_(4)
    for i in range(20):
        net.train()(batch(i))
    return net.eval()


def test_thresholds_agree_where_tensors_meet() -> None:
    net = calibrated()
    found = calibrate(net, [batch(1), batch(2)])
    assert found["conv1"] == found["conv2"] == found["add"] > 0  # they meet in the addition
    changes = {name: float(net.get_submodule(name).activation_threshold) for name in found}
    assert changes["conv1"] == found["conv1"]  # the input of the network is in [-1, 1)
    assert changes["conv2"] == 0
    assert changes["conv3"] == found["conv3"] - found["add"]
    assert float(net.fc.final_scale) == found["conv3"]  # wide: that of its input
    assert float(net.conv3.final_scale) == 0


def test_calibrated_networks_keep_what_they_compute() -> None:
    net, x = calibrated(), batch(7)
    float_output = net(x)
    assert float_output.abs().max() > 1
    thresholds = calibrate(net, [batch(i) for i in range(4)])
    initiate_qat(net, QatPolicy(start_epoch=1, weight_bits=8))
    trained = net(x)
    scale = 2 ** float(net.fc.shift())  # a wide output is not shifted
    noise = (trained * scale - float_output).square().mean()
    assert 10 * torch.log10(float_output.square().mean() / noise) > 25
    trained.sum().backward()
    assert net.conv1.op.weight.grad.abs().max() > 0
    layers.set_mode(net, "simulate")
    factor = 2.0 ** thresholds["conv3"]  # which the host applies
    assert torch.equal(net(x * 128) * factor / 128 / 128, trained)
    quantized = net.state_dict()
    fresh = network(mode="simulate")
    fresh.load_state_dict(quantized)
    assert torch.equal(fresh(x * 128), net(x * 128))


def test_only_calibrated_float_networks_are_calibrated() -> None:
    with pytest.raises(layers.LayerError, match="calibrated"):
        calibrate(network(), [batch()])
    with pytest.raises(layers.LayerError, match="never reached"):
        calibrate(calibrated(), [])


def test_float_training_is_not_clamped_before() -> None:
    net = network(shift_rule="calibrated")
    x = torch.full((1, 8, 4, 4), 50.0)
    assert net.add(x, x).max() == 100
    layers.set_mode(net, "qat")
    assert net.add(x, x).max() == 127 / 128
    assert np.isclose(float(net.add.clamp_activation), 1)
