"""Rules of kernels as they are stored (semantics 2.11)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.rules.catalogue import Finding, found, rule
from ai8xc.rules.view import NetworkView


@rule("QUANT-BINZERO", "2.11", limit="binary kernels that are stored as they are")
def binary_between_zeros(network: NetworkView) -> Iterator[Finding]:
    """the binary kernels of `{layer}` are stored with zeros between, which are no +1 or -1

    Kernels of 1x1 run as 3x3 in a stream, dilated 1-D kernels as longer ones; the other weights
    are 0. Binary weights have no 0: use 1-bit weights (-1 and 0) or wider ones.
    """
    for layer in HardwareNetwork.of(network.graph, network.device).sequence:
        weighted = layer.weighted
        if weighted is None or layer.bypass or layer.kernel == layer.own_kernel:
            continue
        if weighted.weight.type.element == "bin":
            yield found(layer.op)
