"""Torch modules compute after import what torch computes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - torch may be absent
from torch.nn import functional as F  # noqa: E402, N812 - its usual name

import ai8xc  # noqa: E402
from ai8xc.frontend.torch_export import exported, import_module  # noqa: E402
from ai8xc.frontend.torch_model import read_pt2  # noqa: E402
from ai8xc.ir.core import Graph  # noqa: E402
from ai8xc.ir.diag import Rejected  # noqa: E402
from ai8xc.ir.interp import run  # noqa: E402

IMAGE, LINE, VECTOR = (4, 9, 8), (4, 11), (12,)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


def real(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def compare(graph: Graph, module: nn.Module, *shape: int) -> None:
    """Check that graph and module agree, for three samples at once and for one."""
    for batch in (3, 1):
        x = real(batch, *shape)
        with torch.no_grad():
            wanted = module.eval()(torch.from_numpy(x))
        wanted = wanted if isinstance(wanted, tuple | list) else (wanted,)
        found = run(graph, {graph.inputs[0].name: x})
        assert len(found) == len(wanted)
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=1e-5)


def check(module: nn.Module, *shape: int) -> None:
    compare(import_module(module, real(*shape)), module, *shape)


LAYERS = {
    "conv1d": (nn.Conv1d(4, 5, 3), LINE),
    "conv1d with all": (nn.Conv1d(4, 6, 3, 2, 2, 2, 2), LINE),
    "conv1d same": (nn.Conv1d(4, 6, 4, padding="same", dilation=2), LINE),
    "conv2d": (nn.Conv2d(4, 5, 3), IMAGE),
    "conv2d without bias": (nn.Conv2d(4, 5, 3, bias=False), IMAGE),
    "conv2d with all": (nn.Conv2d(4, 6, (3, 2), (2, 3), (2, 1), (2, 1), 2), IMAGE),
    "conv2d same": (nn.Conv2d(4, 6, (2, 5), padding="same"), IMAGE),
    "conv2d valid": (nn.Conv2d(4, 6, 3, padding="valid"), IMAGE),
    "conv2d padded by reflection": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), IMAGE),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4), IMAGE),
    "conv_transpose1d": (nn.ConvTranspose1d(4, 5, 3, 2, 1, 1), LINE),
    "conv_transpose2d": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2), IMAGE),
    "linear": (nn.Linear(12, 5), VECTOR),
    "linear on the last axis": (nn.Linear(8, 5), IMAGE),
    "linear without bias": (nn.Linear(12, 5, bias=False), VECTOR),
    "batch_norm1d": (nn.BatchNorm1d(4), LINE),
    "batch_norm2d": (nn.BatchNorm2d(4, eps=1e-3), IMAGE),
    "batch_norm2d, not affine": (nn.BatchNorm2d(4, affine=False), IMAGE),
    "max_pool1d": (nn.MaxPool1d(3, 2, 1), LINE),
    "max_pool2d": (nn.MaxPool2d((3, 2)), IMAGE),
    "max_pool2d with all": (nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), IMAGE),
    "avg_pool1d": (nn.AvgPool1d(3, 2, 1), LINE),
    "avg_pool2d": (nn.AvgPool2d((3, 2)), IMAGE),
    "avg_pool2d with all": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "avg_pool2d without padding": (
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        IMAGE,
    ),
    "adaptive_avg_pool2d to 1": (nn.AdaptiveAvgPool2d(1), IMAGE),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d((3, None)), IMAGE),
    "adaptive_avg_pool1d": (nn.AdaptiveAvgPool1d(1), LINE),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d((1, 1)), IMAGE),
    "relu": (nn.ReLU(), IMAGE),
    "relu in place": (nn.ReLU(inplace=True), IMAGE),
    "relu6": (nn.ReLU6(), IMAGE),
    "hardtanh": (nn.Hardtanh(-0.5, 0.25), IMAGE),
    "leaky_relu": (nn.LeakyReLU(0.1), IMAGE),
    "sigmoid": (nn.Sigmoid(), IMAGE),
    "tanh": (nn.Tanh(), IMAGE),
    "softmax": (nn.Softmax(1), VECTOR),
    "dropout": (nn.Dropout(0.5), IMAGE),
    "dropout2d": (nn.Dropout2d(0.5), IMAGE),
    "flatten": (nn.Flatten(), IMAGE),
    "unflatten": (nn.Unflatten(1, (3, -1)), VECTOR),
    "upsample": (nn.Upsample(scale_factor=2), IMAGE),
    "upsample to a size": (nn.Upsample((18, 24)), IMAGE),
    "upsample1d": (nn.Upsample(scale_factor=3), LINE),
    "zero_pad2d": (nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "replication_pad1d": (nn.ReplicationPad1d(2), LINE),
}


@pytest.mark.parametrize("case", LAYERS)
def test_layers(case: str) -> None:
    torch.manual_seed(0)
    module, shape = LAYERS[case]
    for name, buffer in module.named_buffers():
        if name == "running_var":
            buffer.uniform_(0.5, 2)
        elif buffer.is_floating_point():
            buffer.normal_()
    check(module, *shape)


FUNCTIONS = {
    "add": (lambda x: x + x, IMAGE),
    "add a number": (lambda x: x + 1.5, IMAGE),
    "add with alpha": (lambda x: torch.add(x, x, alpha=0.5), IMAGE),
    "sub": (lambda x: x - torch.ones(4, 1, 1), IMAGE),
    "number minus": (lambda x: 1 - x, IMAGE),
    "mul": (lambda x: x * 0.25, IMAGE),
    "div": (lambda x: x / 4, IMAGE),
    "neg": (lambda x: -x, IMAGE),
    "abs": (lambda x: x.abs(), IMAGE),
    "clamp": (lambda x: x.clamp(-1, 127 / 128), IMAGE),
    "clamp_min": (lambda x: x.clamp(min=0), IMAGE),
    "clamp_max": (lambda x: x.clamp_max(0.5), IMAGE),
    "cat": (lambda x: torch.cat([x, x.relu()], 1), IMAGE),
    "cat along the end": (lambda x: torch.cat([x, x.relu()], -1), IMAGE),
    "stack": (lambda x: torch.stack([x, x.abs()], 1), LINE),
    "split": (lambda x: torch.split(x, 3, 1)[1], IMAGE),
    "split by sizes": (lambda x: torch.split(x, [1, 3], 1), IMAGE),
    "chunk": (lambda x: torch.chunk(x, 2, 1)[1], IMAGE),
    "unbind": (lambda x: torch.unbind(x, 1)[2], LINE),
    "slice": (lambda x: x[:, 1:3, ::2, -5:], IMAGE),
    "select": (lambda x: x[:, -1], IMAGE),
    "view": (lambda x: x.view(x.shape[0], -1), IMAGE),
    "reshape": (lambda x: x.reshape(x.size(0), 2, 2, 72), IMAGE),
    "squeeze": (lambda x: x[:, :1].squeeze(1), IMAGE),
    "unsqueeze": (lambda x: x.unsqueeze(-1), LINE),
    "permute": (lambda x: x.permute(0, 2, 3, 1), IMAGE),
    "transpose": (lambda x: x.transpose(1, -1), IMAGE),
    "mean": (lambda x: x.mean((2, 3)), IMAGE),
    "mean, axes kept": (lambda x: x.mean(-1, keepdim=True), IMAGE),
    "pad": (lambda x: F.pad(x, (1, 2), value=0.5), IMAGE),
    "matmul": (lambda x: x @ torch.ones(8, 3), IMAGE),
    "in place": (lambda x: (x + 1).relu_().mul_(2), IMAGE),
    "several outputs": (lambda x: (x.relu(), x.abs()), IMAGE),
    "the input itself": (lambda x: x, IMAGE),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case: str) -> None:
    function, shape = FUNCTIONS[case]
    check(Apply(function), *shape)


class Residual(nn.Module):
    """Two branches that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.skip = nn.Conv2d(4, 8, 1)
        self.head = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.features(x) + self.skip(x), inplace=True)
        return self.head(F.max_pool2d(y, 2).flatten(1))


def test_places_are_module_paths() -> None:
    graph = import_module(Residual(), real(4, 9, 8))
    places = {op.name: op.loc.nodes for op in graph}
    assert places["features.0"] == ("features.0",)
    assert places["features.1"] == ("features.1",)
    assert places["head"] == ("head",)
    assert graph.inputs[0].loc.source == "Residual"


def test_the_module_is_left_as_it_was() -> None:
    module = Residual().train()
    module.features[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    import_module(module, real(4, 9, 8))
    assert module.training
    assert module.head.training
    assert not module.features[1].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("decompose", [None, {}, "core"])
@pytest.mark.parametrize("batch", [1, 3, "open"])
def test_files(decompose: object, batch: object, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = Residual().eval()
    shapes = {"x": {0: torch.export.Dim("batch")}} if batch == "open" else None
    x = torch.from_numpy(real(batch if isinstance(batch, int) else 2, 4, 9, 8))
    program = torch.export.export(module, (x,), dynamic_shapes=shapes)
    if decompose is not None:
        program = program.run_decompositions(*([] if decompose == "core" else [decompose]))
    torch.export.save(program, tmp_path / "model.pt2")
    graph = read_pt2(tmp_path / "model.pt2")
    assert graph.inputs[0].type.shape[0] == (batch if isinstance(batch, int) else 1)
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(run(graph, {"x": x.numpy()})[0], wanted, rtol=1e-4, atol=1e-5)


def test_floats_of_other_widths(tmp_path: Path) -> None:
    for kind in (torch.float64, torch.bfloat16, torch.float16):
        module = nn.Conv2d(4, 5, 3).to(kind).eval()
        content = exported(module, torch.from_numpy(real(1, 4, 9, 8)).to(kind))
        (tmp_path / "model.pt2").write_bytes(content)
        compare(read_pt2(tmp_path / "model.pt2"), module.float(), 4, 9, 8)


# What cannot be imported


def rules(error: pytest.ExceptionInfo[Rejected]) -> list[str]:
    return [finding.rule.id for finding in error.value.diagnostics]


def test_all_unknown_operations_are_told_at_once() -> None:
    module = nn.Sequential(nn.Conv2d(4, 4, 1), nn.GELU(), nn.Conv2d(4, 4, 1), nn.SiLU())
    with pytest.raises(Rejected) as error:
        import_module(module, real(4, 9, 8))
    assert rules(error) == ["NN010", "NN010"]
    assert [finding.loc.nodes for finding in error.value.diagnostics] == [("1",), ("3",)]
    assert all("ReLU" in (finding.help or "") for finding in error.value.diagnostics)


BAD = {
    "adaptive pool of uneven windows": (nn.AdaptiveAvgPool2d(2), "NN011"),
    "interpolation by a fraction": (nn.Upsample(scale_factor=1.5), "NN011"),
    "positions of maxima": (nn.MaxPool2d(2, return_indices=True), "NN011"),
    "weights that are not finite": (Apply(lambda x: x + torch.tensor(torch.nan)), "NN031"),
    "control flow that depends on data": (Apply(lambda x: x if x.sum() > 0 else -x), "NN007"),
}


@pytest.mark.parametrize("case", BAD)
def test_forms_that_cannot_be_imported(case: str) -> None:
    module, rule = BAD[case]
    with pytest.raises(Rejected) as error:
        import_module(module, real(4, 9, 8))
    assert rules(error) == [rule]


def overwritten_view(x: torch.Tensor) -> torch.Tensor:
    y = x + 1
    view = y.view(y.shape[0], -1)
    y.mul_(2)
    return view


def test_overwritten_views_in_files(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    program = torch.export.export(Apply(overwritten_view), (torch.ones(1, 2, 3),))
    torch.export.save(program, path)
    with pytest.raises(Rejected) as error:
        read_pt2(path)
    assert rules(error) == ["NN011"]
    torch.export.save(program.run_decompositions({}), path)
    compare(read_pt2(path), Apply(lambda x: overwritten_view(x.clone())), 2, 3)


def test_training_mode_in_files(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    module = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    torch.export.save(torch.export.export(module, (torch.ones(2, 4, 3, 3),)), path)
    with pytest.raises(Rejected) as error:
        read_pt2(path)
    assert all("eval()" in (finding.help or "") for finding in error.value.diagnostics)


def test_a_sample_is_needed() -> None:
    with pytest.raises(Rejected) as error:
        ai8xc.compile(nn.Conv2d(4, 4, 1), emit=["ir"])
    assert rules(error) == ["NN008"]
    with pytest.raises(TypeError, match="module"):
        ai8xc.compile(3)


# Files that are not what they seem


def archive(changes: Callable[[dict[str, bytes]], None], path: Path) -> Path:
    """Write an exported program with some of its parts changed."""
    content = exported(nn.Conv2d(4, 5, 3), torch.ones(1, 4, 9, 8))
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    changes(members)
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


def edited(part: str, change: Callable[[dict[str, object]], None]) -> Callable[..., None]:
    """Return a change of a JSON document inside."""

    def changes(members: dict[str, bytes]) -> None:
        (name,) = (name for name in members if name.endswith(part))
        document = json.loads(members[name])
        change(document)
        members[name] = json.dumps(document).encode()

    return changes


def config(**values: object) -> Callable[..., None]:
    def change(document: dict) -> None:
        document["config"]["weight"].update(values)

    return edited("weights_config.json", change)


def sizes(*values: int) -> Callable[..., None]:
    def change(document: dict) -> None:
        meta = document["config"]["weight"]["tensor_meta"]
        meta["sizes"] = [{"as_int": value} for value in values]

    return edited("weights_config.json", change)


DAMAGED = {
    "pickled weights": (config(use_pickle=True), "NN006"),
    "weights outside": (config(path_name="../../../../etc/passwd"), "NN005"),
    "longer than the data": (sizes(500, 4, 3, 3), "NN005"),
    "immense": (sizes(2**40, 4, 3, 3), "NN005"),
    "negative": (sizes(-5, 4, 3, 3), "NN005"),
    "another version": (
        edited("model.json", lambda d: d["schema_version"].update(major=99)),
        "NN005",
    ),
    "no graph": (edited("model.json", lambda d: d.pop("graph_module")), "NN005"),
    "graph of another kind": (edited("model.json", lambda d: d.update(graph_module=[1])), "NN005"),
    "a value that is not there": (
        edited("model.json", lambda d: d["graph_module"]["graph"]["nodes"].clear()),
        "NN040",
    ),
    "no document": (
        lambda members: [members.pop(n) for n in list(members) if "model" in n],
        "NN005",
    ),
    "deep nesting": (
        lambda members: members.update({"model/models/x.json": b"[" * 200_000}),
        "NN005",
    ),
    "big-endian": (
        lambda members: members.update({n: b"big" for n in members if n.endswith("byteorder")}),
        "NN005",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files(case: str, tmp_path: Path) -> None:
    change, rule = DAMAGED[case]
    with pytest.raises(Rejected) as error:
        read_pt2(archive(change, tmp_path / "model.pt2"))
    assert rules(error) == [rule]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(100)])
def test_no_archives(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(content)
    with pytest.raises(Rejected) as error:
        read_pt2(tmp_path / "model.pt2")
    assert rules(error) == ["NN005"]
    assert error.value.unusable


def test_cut_files(tmp_path: Path) -> None:
    content = exported(nn.Conv2d(4, 5, 3), torch.ones(1, 4, 9, 8))
    for length in range(0, len(content), 1009):
        (tmp_path / "model.pt2").write_bytes(content[:length])
        with pytest.raises(Rejected):
            read_pt2(tmp_path / "model.pt2")


def test_reading_a_file_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = archive(lambda members: None, tmp_path / "model.pt2")
    code = f"import ai8xc, sys\nai8xc.compile({str(path)!r}, emit=['ir'])"
    subprocess.run([sys.executable, "-c", f"{code}\nassert 'torch' not in sys.modules"], check=True)
