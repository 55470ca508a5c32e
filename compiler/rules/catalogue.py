"""How rules of the hardware level are written, registered and run.

A rule is a generator over a network: it yields a `Finding` for each place that breaks it. Its
docstring is the manual: the first line is the message, the rest the explanation. The limit that
it allows is a text with fields of the device, so that no limit is written twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Unpack

from ai8xc.device import Device
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import About, Cure, Diagnostic, Rule, Severity, declare
from ai8xc.ir.loc import Loc
from ai8xc.rules.limits import limit_on
from ai8xc.rules.remedies import REMEDIES
from ai8xc.rules.view import LayerView, NetworkView

SOURCE: Final = "hardware semantics, section {}"


@dataclass(frozen=True)
class Finding:
    """One violation: the layer or op, the values of the message, and what the text adds."""

    at: LayerView | Op | Loc
    values: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cures: tuple[Cure, ...] = ()
    help: str | None = None
    attribute: str | None = None


def found(at: LayerView | Op | Loc, **values: object) -> Finding:
    """Return a finding with the values of its message."""
    return Finding(at, values)


LayerCheck = Callable[[LayerView, NetworkView], Iterator[Finding]]
NetworkCheck = Callable[[NetworkView], Iterator[Finding]]

_CHECKS: dict[str, tuple[Rule, NetworkCheck]] = {}


def rule(
    id: str, section: str, severity: Severity = "error", **about: Unpack[About]
) -> Callable[[NetworkCheck], NetworkCheck]:
    """Make a function over a network a rule of the catalogue."""

    def decorate(check: NetworkCheck) -> NetworkCheck:
        _CHECKS[id] = (_declared(id, section, severity, check, about), check)
        return check

    return decorate


def layer_rule(
    id: str, section: str, severity: Severity = "error", **about: Unpack[About]
) -> Callable[[LayerCheck], LayerCheck]:
    """Make a function over one layer a rule of the catalogue."""

    def decorate(check: LayerCheck) -> LayerCheck:
        def every(network: NetworkView) -> Iterator[Finding]:
            for layer in network.layers:
                yield from check(layer, network)

        _CHECKS[id] = (_declared(id, section, severity, check, about), every)
        return check

    return decorate


def _declared(
    id: str, section: str, severity: Severity, check: NetworkCheck | LayerCheck, about: About
) -> Rule:
    """Return the rule that a function with its docstring is."""
    message, _, explanation = (inspect.getdoc(check) or "").partition("\n")
    about.setdefault("title", check.__name__.replace("_", " "))
    about.setdefault("level", "ai8x")
    about.setdefault("source", SOURCE.format(section))
    if id in REMEDIES:
        about.setdefault("cure", REMEDIES[id].text)
    return declare(id, message, explanation, severity, **about)


def checks() -> Mapping[str, tuple[Rule, NetworkCheck]]:
    """Return the registered rules of the hardware level with their functions, by id."""
    import_rules()
    return _CHECKS


def rule_of(id: str) -> Rule:
    """Return a rule of the hardware level, for those who find it broken by other means."""
    return checks()[id][0]


def check(graph: Graph, device: Device) -> list[Diagnostic]:
    """Return everything that breaks a rule in a graph of level ai8x, placed or not.

    A graph without layers breaks none.
    Findings come in the order of the layers, for one layer in the order of the rules. Raises
    `Rejected` where the operands of a layer do not fit together, so that there are no sizes.
    """
    import_rules()
    return _found(graph, device, _CHECKS)


def check_one(id: str, graph: Graph, device: Device) -> list[Diagnostic]:
    """Return what breaks one rule of the catalogue in a graph of level ai8x."""
    import_rules()
    return _found(graph, device, [id])


def _found(graph: Graph, device: Device, ids: Iterable[str]) -> list[Diagnostic]:
    network = NetworkView.of(graph, device)
    if not network.layers:
        return []
    for layer in network.layers:
        layer.op.type  # noqa: B018 - raises where there is none
    order = {op: number for number, op in enumerate(graph.ops)}
    results: list[tuple[int, int, Diagnostic]] = []
    for number, (rule, function) in enumerate(_CHECKS[id] for id in ids):
        for finding in function(network):
            diagnostic = _diagnostic(rule, finding, device)
            at = -1 if diagnostic.subject is None else order.get(diagnostic.subject, -1)
            results.append((at, number, diagnostic))
    results.sort(key=lambda entry: entry[:2])
    return [diagnostic for _, _, diagnostic in results]


def _diagnostic(rule: Rule, finding: Finding, device: Device) -> Diagnostic:
    place = finding.at.op if isinstance(finding.at, LayerView) else finding.at
    values: dict[str, Any] = {"device": device.name, "d": device, **finding.values}
    if isinstance(place, Op):
        values.setdefault("layer", place.name)
    limit = limit_on(rule, device)
    notes = (*finding.notes, *((f"{device.name}: {limit}",) if limit else ()))
    return rule.at(
        place,
        attribute=finding.attribute,
        notes=notes,
        help=finding.help,
        cures=finding.cures,
        **values,
    )


def import_rules() -> None:
    """Import the modules whose rules this package declares, in the order of the manual."""
    from ai8xc.rules import (  # noqa: F401 - they register
        defects,
        fifo,
        inputs,
        memory,
        network,
        operands,
        pools,
        processors,
        sequence,
        sizes,
        streaming,
        unload,
        weights,
        windows,
    )
