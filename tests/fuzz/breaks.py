"""All generators of broken networks: by what they break, and how their networks are judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from ai8xc.device import Device
from ai8xc.ir.diag import errors
from ai8xc.ir.printer import print_graph
from ai8xc.rules.catalogue import check
from fuzz import (
    illegal,
    illegal_descriptions,
    illegal_layers,
    illegal_models,
    illegal_places,
    illegal_sizes,
)
from fuzz.verdict import verdict


@dataclass(frozen=True)
class Broken:
    """A network that breaks `rule`, as text, and the rules that were found broken."""

    rule: str
    shown: str
    found: frozenset[str]

    @property
    def right(self) -> bool:
        """Whether it is refused by its rule and no other."""
        return self.found == {self.rule}


def integers(random: Random, device: Device, folder: Path) -> Broken:
    """A network of integers: it is compiled and proven as far as it goes."""
    rule, graph = illegal.illegal(random, device)
    found = verdict(graph, device.name)
    rules = found.rules if found.kind == "refused" else (found.kind,)
    return Broken(rule, print_graph(graph), frozenset(rules))


def layers(random: Random, device: Device, folder: Path) -> Broken:
    """Hardware layers that are not placed: the catalogue of rules is asked."""
    rule, graph = illegal_layers.illegal_layers(random, device)
    found = {finding.rule.id for finding in errors(check(graph, device))}
    return Broken(rule, print_graph(graph), frozenset(found))


def places(random: Random, device: Device, folder: Path) -> Broken:
    """Placed layers, streams, settings of a run: the catalogue of rules is asked."""
    rule, graph = illegal_places.illegal_places(random, device)
    found = {finding.rule.id for finding in errors(check(graph, device))}
    return Broken(rule, print_graph(graph), frozenset(found))


def sizes(random: Random, device: Device, folder: Path) -> Broken:
    """Layers of sizes that are not possible: the catalogue of rules is asked."""
    rule, graph = illegal_places.illegal_places(random, device, table=illegal_sizes.BREAKS)
    found = {finding.rule.id for finding in errors(check(graph, device))}
    return Broken(rule, print_graph(graph), frozenset(found))


def description(random: Random, device: Device, folder: Path) -> Broken:
    """A description for the vendor's tool with its weights: `check` reads the files."""
    rule, made = illegal_descriptions.illegal_description(random, device)
    found = illegal_descriptions.rules_of(made, folder)
    return Broken(rule, made.text or illegal_descriptions.dumped(made), frozenset(found))


def model(random: Random, device: Device, folder: Path) -> Broken:
    """An ONNX model: `check` reads the file."""
    rule, content = illegal_models.illegal_model(random, device)
    found = illegal_models.rules_of(content, device, folder)
    return Broken(rule, f"{len(content)} bytes of ONNX", frozenset(found))


Judge = Callable[[Random, Device, Path], Broken]
KINDS: Final[tuple[Judge, ...]] = (integers, layers, places, sizes, description, model)
"""They take turns: the seed's remainder chooses."""


def broken(seed: int, device: Device, folder: Path) -> Broken:
    """Return the broken network of a seed, judged; `folder` is for its files."""
    return KINDS[seed % len(KINDS)](Random(seed), device, folder)


def covered() -> Mapping[str, frozenset[str]]:
    """Return the rules that are broken singly, each with the kinds of networks that do so."""
    tables = {
        "integers": illegal.BREAKS,
        "layers": illegal_layers.BREAKS,
        "places": [(rule, None) for rule, _, _ in illegal_places.BREAKS],
        "sizes": [(rule, None) for rule, _, _ in illegal_sizes.BREAKS],
        "description": illegal_descriptions.BREAKS,
        "model": illegal_models.BREAKS,
    }
    found: dict[str, frozenset[str]] = {}
    for kind, table in tables.items():
        for rule, _ in table:
            found[rule] = found.get(rule, frozenset()) | {kind}
    return found
