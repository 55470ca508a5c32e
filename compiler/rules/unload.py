"""Rules of the byte transposer that unloads outputs (semantics 2.15)."""

from __future__ import annotations

from collections.abc import Iterator

from ai8xc.rules.catalogue import Finding, found, rule
from ai8xc.rules.view import WORD, LayerView, NetworkView


def _transposed(network: NetworkView) -> Iterator[tuple[LayerView, int]]:
    """Yield the outputs that the transposer is asked to unload, with their pixels."""
    if not network.settings.mlator:
        return
    for output in network.graph.outputs:
        layer = network.by_op.get(output)
        if layer is not None:
            rows, columns = layer.out_size
            yield layer, rows * columns


@rule("MLATOR-32", "2.15", "warning", limit="8-bit outputs")
def transposed_words(network: NetworkView) -> Iterator[Finding]:
    """the byte transposer does not unload `{layer}`: its output has 32 bits

    It reorders bytes of 8-bit outputs. The core unloads this one, with the same result.
    """
    for layer, _ in _transposed(network):
        if layer.wide:
            yield found(layer)


@rule("MLATOR-4", "2.15", "warning", limit="a multiple of four pixels")
def transposed_pixels(network: NetworkView) -> Iterator[Finding]:
    """the byte transposer does not unload `{layer}`: {pixels} pixels are no multiple of four

    It reorders four pixels at a time. The core unloads this output, with the same result.
    """
    for layer, pixels in _transposed(network):
        if not layer.wide and pixels >= WORD and pixels % WORD:
            yield found(layer, pixels=pixels)


@rule("MLATOR-SMALL", "2.15", "warning", limit="four pixels at least")
def transposed_few(network: NetworkView) -> Iterator[Finding]:
    """the byte transposer does not unload `{layer}`: it has {pixels} pixels

    It reorders four pixels at a time. The core unloads this output, with the same result.
    """
    for layer, pixels in _transposed(network):
        if not layer.wide and pixels < WORD:
            yield found(layer, pixels=pixels)


@rule("MLATOR-ALIGN", "2.15", "warning", limit="up to {d.processors} channels")
def transposed_passes(network: NetworkView) -> Iterator[Finding]:
    """the byte transposer does not unload `{layer}`: its {channels} channels take several passes

    It reads the words of a memory one after the other, which are those of all passes in turn.
    The core unloads this output, with the same result.
    """
    for layer, pixels in _transposed(network):
        if not layer.wide and not pixels % WORD and layer.out_passes > 1:
            yield found(layer, channels=layer.outputs)
