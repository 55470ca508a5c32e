"""Calibrated thresholds of activations: the other rule for the shift of a layer.

Before QAT starts, the whole training set runs through the float network once. Each layer's output
gets a threshold, a power of two beyond which it saturates; the difference between a layer's
threshold and that of its input goes into its shift. Source: training facts, section 1.11.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from ai8xc.training.layers import HardwareLayer, LayerError, fuse_bn_layers
from ai8xc.training.layers.elementwise import Elementwise

BINS: Final = 2048
CANDIDATES: Final = 5
Layer = HardwareLayer | Elementwise


@dataclass
class Histogram:
    """Counts of a layer's outputs, a set of bins for each batch until they are merged."""

    edges: list[NDArray[np.float64]] = field(default_factory=list)
    counts: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, values: Tensor) -> None:
        """Count the values of one batch in bins between its minimum and maximum."""
        low, high = (float(bound) for bound in values.aminmax())
        if not math.isfinite(low + high):
            raise LayerError("activations", "the outputs of a layer are not finite")
        counts = torch.histc(values.float(), BINS, low, high).numpy().astype(np.float64)
        if low == high:  # histc widens an empty range by 1 to each side
            low, high = low - 1, high + 1
        self.edges.append(np.linspace(low, high, BINS + 1))
        self.counts.append(counts)

    def merged(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return common edges and the counts between them; each batch's are spread evenly."""
        low = min(edges[0] for edges in self.edges)
        high = max(edges[-1] for edges in self.edges)
        common = np.linspace(low, high, BINS + 1)
        total = np.zeros(BINS + 1)
        for edges, counts in zip(self.edges, self.counts, strict=True):
            total += np.interp(common, edges, np.concatenate(([0.0], np.cumsum(counts))))
        return common, np.diff(total)

    def threshold(self, z_score: float) -> int:
        """Return the exponent of the power of two that represents the values best in 8 bits.

        Values further than `z_score` standard deviations from the mean do not count.
        """
        edges, counts = self.merged()
        centres = (edges[:-1] + edges[1:]) / 2
        mean = np.average(centres, weights=counts)
        deviation = math.sqrt(np.average((centres - mean) ** 2, weights=counts)) or 1e-9
        near = (np.abs(centres - mean) <= z_score * deviation) & (counts > 0)
        reach = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))[near].max()
        first = math.ceil(math.log2(max(reach, 2.0**-20)))
        errors = [_error(centres[near], counts[near], first - i) for i in range(CANDIDATES)]
        return first - int(np.argmin(errors))


def _error(values: NDArray[np.float64], counts: NDArray[np.float64], exponent: int) -> float:
    step = (2.0**exponent + 1e-9) / 128
    represented = np.clip(np.rint(values / step), -128, 127) * step
    return float(np.average((values - represented) ** 2, weights=counts))


def calibrate(
    module: nn.Module, batches: Iterable[Tensor], *, outlier_removal_z_score: float = 8.0
) -> dict[str, int]:
    """Fold batch norms, measure all activations, and put thresholds into the layers.

    Args:
        module: a network in float mode, built with `shift_rule="calibrated"`.
        batches: inputs of the network, the whole training set.
        outlier_removal_z_score: see `QatPolicy`.

    Returns:
        The exponent of each layer's threshold, by dotted name.

    Raises:
        LayerError: the network is not in float mode or not calibrated, or there are no batches.
    """
    layers = dict(_layers(module))
    for name, layer in layers.items():
        if not layer.calibrated or layer.mode != "float":
            raise LayerError(name, "calibrate a float network of `shift_rule='calibrated'`")
    fuse_bn_layers(module)
    histograms = _measured(module, layers, batches)
    own = {name: found.threshold(outlier_removal_z_score) for name, found in histograms.items()}
    return apply_scales(module, own)


def _layers(module: nn.Module) -> Iterator[tuple[str, Layer]]:
    for name, layer in module.named_modules():
        if isinstance(layer, HardwareLayer | Elementwise):
            yield name, layer


def _measured(
    module: nn.Module, layers: Mapping[str, Layer], batches: Iterable[Tensor]
) -> dict[str, Histogram]:
    histograms: dict[str, Histogram] = defaultdict(Histogram)
    with _evaluating(module), torch.no_grad():
        hooks = [
            layer.register_forward_hook(
                lambda _module, _inputs, output, name=name: histograms[name].add(output.cpu())
            )
            for name, layer in layers.items()
        ]
        try:
            for batch in batches:
                module(batch)
        finally:
            for hook in hooks:
                hook.remove()
    if missing := [name for name in layers if name not in histograms]:
        raise LayerError(missing[0], "the calibration data never reached this layer")
    return histograms


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


@torch.no_grad()
def apply_scales(module: nn.Module, thresholds: Mapping[str, int]) -> dict[str, int]:
    """Put thresholds into the layers of a network, and return them as they were made to agree.

    Tensors that meet in an element-wise layer have its threshold; those that are joined, or that
    one layer with shared weights reads, have the largest of theirs. A layer takes the difference
    between its own threshold and its input's into its shift, and its bias is brought to the scale
    of its input. The output of the network is scaled back by the host (`final_scale`).
    """
    scales = _Scales(module, thresholds)
    agreed = {}
    for name, layer in _layers(module):
        agreed[name] = scales.output(name)
        before = scales.input(name)
        change = agreed[name] - before
        layer.get_buffer("activation_threshold").fill_(change)
        at_end = agreed[name]
        if isinstance(layer, HardwareLayer):
            if layer.op is not None and layer.op.bias is not None:
                layer.op.bias.div_(2.0**before)
            at_end = before if layer.wide else at_end
        layer.get_buffer("final_scale").fill_(at_end if scales.is_output(name) else 0)
    return agreed


class _Tracer(fx.Tracer):
    """Traces a network down to its layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers are not looked into."""
        known = isinstance(m, HardwareLayer | Elementwise)
        return known or super().is_leaf_module(m, module_qualified_name)


class _Scales:
    """Which tensors of a network share a scale, and which one."""

    def __init__(self, module: nn.Module, thresholds: Mapping[str, int]) -> None:
        self._modules = dict(module.named_modules())
        self._parent: dict[fx.Node, fx.Node] = {}
        self._calls: dict[str, list[fx.Node]] = defaultdict(list)
        graph = _Tracer().trace(module)
        for node in graph.nodes:
            self._parent[node] = node
            if node.op == "call_module":
                self._calls[str(node.target)].append(node)
            if not self._computes(node):
                self._join([node, *self._data(node)])
        for calls in self._calls.values():
            if self._computes(calls[0]):
                self._join([source for call in calls for source in self._data(call)])
                self._join(calls)
        self._results = self._ancestors(graph)
        self._scale = self._chosen(graph, thresholds)

    def output(self, name: str) -> int:
        """Return the exponent of a layer's output."""
        return self._scale[self._root(self._calls[name][0])]

    def input(self, name: str) -> int:
        """Return the exponent of a layer's input."""
        return self._scale[self._root(self._data(self._calls[name][0])[0])]

    def is_output(self, name: str) -> bool:
        """Return whether a layer's result leaves the network without passing another layer."""
        return any(call in self._results for call in self._calls[name])

    def _layer(self, node: fx.Node) -> nn.Module | None:
        return self._modules.get(str(node.target)) if node.op == "call_module" else None

    def _computes(self, node: fx.Node) -> bool:
        """Return whether a node makes values of a new scale."""
        layer = self._layer(node)
        return isinstance(layer, HardwareLayer) and layer.op is not None

    def _is_layer(self, node: fx.Node) -> bool:
        """Return whether a node is a layer that can scale its own result."""
        return self._computes(node) or isinstance(self._layer(node), Elementwise)

    def _data(self, node: fx.Node) -> list[fx.Node]:
        return node.all_input_nodes if node.op not in ("output", "placeholder") else []

    def _root(self, node: fx.Node) -> fx.Node:
        while self._parent[node] is not node:
            node = self._parent[node]
        return node

    def _join(self, nodes: list[fx.Node]) -> None:
        for node in nodes[1:]:
            self._parent[self._root(node)] = self._root(nodes[0])

    def _ancestors(self, graph: fx.Graph) -> set[fx.Node]:
        """Return the layers whose output is an output of the network."""
        (end,) = (node for node in graph.nodes if node.op == "output")
        found: set[fx.Node] = set()
        waiting = list(end.all_input_nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [] if self._is_layer(node) else self._data(node)
        return found

    def _chosen(self, graph: fx.Graph, thresholds: Mapping[str, int]) -> dict[fx.Node, int]:
        """Return the exponent of each set of tensors: 0 for inputs, element-wise before others."""
        inputs = {self._root(node) for node in graph.nodes if node.op == "placeholder"}
        combined: dict[fx.Node, list[int]] = defaultdict(list)
        plain: dict[fx.Node, list[int]] = defaultdict(list)
        for node in graph.nodes:
            layer = self._layer(node)
            if isinstance(layer, Elementwise):
                combined[self._root(node)].append(thresholds[str(node.target)])
            elif self._computes(node):
                plain[self._root(node)].append(thresholds[str(node.target)])
        roots = {self._root(node) for node in graph.nodes}
        return {
            root: 0 if root in inputs else max(combined.get(root) or plain.get(root) or [0])
            for root in roots
        }
