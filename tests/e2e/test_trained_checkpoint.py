"""A network of the layer library, quantised by the command, described in YAML, on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from ai8xc.cli.main import cli  # noqa: E402 - torch is there
from ai8xc.training import layers  # noqa: E402

DESCRIPTION = """
arch: net
dataset: random
layers:
- {processors: 0x1, out_offset: 0x2000, op: conv2d, kernel_size: 3x3, pad: 1, activate: ReLU,
   data_format: HWC}
- {processors: 0xff, out_offset: 0, op: conv2d, kernel_size: 3x3, pad: 1, activate: ReLU,
   max_pool: 2, pool_stride: 2}
- {processors: 0xf, out_offset: 0x2000, op: mlp, flatten: true, output_width: 32, activate: None}
"""


def done(*arguments: object) -> Any:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("bits", [8, 4])
def test_what_training_simulates_is_what_the_device_computes(tmp_path: Path, bits: int) -> None:
    torch.manual_seed(bits)
    with layers.use_device("max78000", mode="qat"):
        net = torch.nn.Sequential(
            layers.FusedConv2dReLU(1, 8, 3, padding=1),
            layers.FusedMaxPoolConv2dReLU(8, 4, 3, padding=1),
            torch.nn.Flatten(),
            layers.Linear(4 * 16, 10, bias=True, wide=True),
        )
    for layer in net:
        if isinstance(layer, layers.HardwareLayer):
            layer.weight_bits.fill_(bits)
    layers.update_model(net)
    torch.save({"epoch": 3, "arch": "net", "state_dict": net.state_dict()}, tmp_path / "trained")
    x = torch.randint(-128, 128, (1, 8, 8))
    np.save(tmp_path / "sample.npy", x.numpy())
    (tmp_path / "net.yaml").write_text(DESCRIPTION)
    done("quantize", tmp_path / "trained", "-o", tmp_path / "quantized")
    done(
        *("compile", tmp_path / "net.yaml", "--weights", tmp_path / "quantized"),
        *("--sample", tmp_path / "sample.npy", "-o", tmp_path / "out"),
    )
    output = tmp_path / "output.npy"
    done("run", tmp_path / "out", "--engine", "registers", "--output", output)
    simulated = layers.set_mode(net, "simulate")(x[None].float())
    np.testing.assert_array_equal(np.load(output).ravel(), simulated.detach().numpy().ravel())
