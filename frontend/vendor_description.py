"""From the values of a file to a checked description, with every problem at once.

A layer with a bad value stays in the network without that value, so that the rest of the file is
checked too; it is `broken`, and what follows from it is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from ai8xc.frontend.vendor_rules import KEY_RULES, tell
from ai8xc.frontend.vendor_schema import (
    ALIASES,
    LayerDescription,
    NetworkDescription,
)
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.rules.description import of_document, of_keys

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from ai8xc.frontend.vendor_text import Document, Path
    from ai8xc.ir.loc import Loc

_SAYS: Final = {
    "extra_forbidden": "it is no key here",
    "missing": "it is missing",
}
ANY_PROCESSOR: Final = 1
"""Stands for the processors of a layer that has none; the layer is reported."""


@dataclass
class Description:
    """A checked file: the network, where things stand, and what is wrong so far."""

    document: Document
    network: NetworkDescription
    broken: set[int] = field(default_factory=set)
    findings: list[Diagnostic] = field(default_factory=list)

    def loc(self, layer: int, key: str = "", *, node: str = "") -> Loc:
        """Return the place of a value of a layer (by its index in the file), or of the layer."""
        path: Path = ("layers", layer, key) if key else ("layers", layer)
        return self.document.loc(path, node)


def describe(document: Document) -> Description:
    """Return the description in a document; raises `Rejected` where there is nothing to check."""
    value = document.value
    if not isinstance(value, dict):
        raise Rejected(
            [of_document.CFG_MANDATORY.at(document.loc(()), key="layers")], unusable=True
        )
    maker = _Maker(document)
    network = maker.network(value)
    if network is None:
        raise Rejected(maker.findings)
    return Description(document, network, maker.broken, maker.findings)


class _Maker:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Diagnostic] = []
        self.broken: set[int] = set()

    def network(self, value: Mapping[str, object]) -> NetworkDescription | None:
        """Return the network, without values that are wrong; None without layers."""
        layers = value.get("layers")
        if not isinstance(layers, list) or not layers:
            place = self.document.loc(("layers",))
            self.findings.append(
                of_document.CFG_VALUE.at(place, key="layers", value="empty")
                if "layers" in value
                else of_document.CFG_MANDATORY.at(place, key="layers")
            )
            layers = []
        made = [self.layer(i, layer) for i, layer in enumerate(layers)]
        rest = {key: item for key, item in value.items() if key != "layers"}
        some = made or [LayerDescription(processors=ANY_PROCESSOR)]
        whole = {**rest, "layers": some}
        try:
            network = NetworkDescription.model_validate(whole)
        except ValidationError as error:
            self.findings += [self.global_finding(detail) for detail in error.errors()]
            for detail in error.errors():
                rest.pop(str(detail["loc"][0]), None)
            named = {"arch": "", "dataset": ""}
            network = NetworkDescription.model_validate({**named, **rest, "layers": some})
        return network if made else None

    def layer(self, index: int, value: object) -> LayerDescription:
        """Return a layer, without values that are wrong."""
        path: Path = ("layers", index)
        if not isinstance(value, dict):
            place = self.document.loc(path)
            self.findings.append(of_document.CFG_VALUE.at(place, key="layers", value=f"`{value}`"))
            self.broken.add(index)
            return LayerDescription(processors=ANY_PROCESSOR)
        keys = dict(self.canonical(path, value))
        try:
            return LayerDescription.model_validate(keys)
        except ValidationError as error:
            self.broken.add(index)
            for detail in error.errors():
                self.findings.append(self.layer_finding(path, detail))
                keys.pop(str(detail["loc"][0]), None)
            return LayerDescription.model_validate({"processors": ANY_PROCESSOR, **keys})

    def canonical(self, path: Path, value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
        """Yield keys under their first names; positions follow."""
        seen: dict[str, str] = {}
        for key, item in value.items():
            name = ALIASES.get(key, key)
            if name in seen:
                place = self.document.key_loc((*path, key))
                values = {"layer": f"layer{path[1]}", "key": key, "other": seen[name]}
                self.findings.append(tell(of_document.LAYER_DUPALIAS, place, values))
                continue
            seen[name] = key
            for places in (self.document.keys, self.document.positions):
                if (*path, key) in places:
                    places[*path, name] = places[*path, key]
            yield name, item

    def layer_finding(self, path: Path, detail: ErrorDetails) -> Diagnostic:
        """Return what is wrong with a key of a layer."""
        key, layer = str(detail["loc"][0]), f"layer{path[1]}"
        if detail["type"] == "extra_forbidden":
            place = self.document.key_loc((*path, key))
            help = _meant(key, _LAYER_KEYS)
            return of_document.LAYER_KEY.at(place, layer=layer, key=key, help=help)
        if detail["type"] == "missing":
            return of_keys.PROC_MISSING.at(self.document.loc(path), layer=layer)
        rule = KEY_RULES.get(key, of_document.CFG_VALUE)
        place = self.document.loc((*path, *_inside(detail)))
        values, why = _given(detail)
        return tell(rule, place, {"layer": layer, "key": key, **values}, [why])

    def global_finding(self, detail: ErrorDetails) -> Diagnostic:
        """Return what is wrong with a key of the network."""
        path = tuple(part for part in detail["loc"] if isinstance(part, str | int))
        key = str(path[0])
        if len(path) == 1 and detail["type"] == "extra_forbidden":
            place = self.document.key_loc(path)
            return of_document.CFG_KEY.at(place, key=key, help=_meant(key, _NETWORK_KEYS))
        if len(path) == 1 and detail["type"] == "missing":
            return of_document.CFG_MANDATORY.at(self.document.loc(()), key=key)
        rule = KEY_RULES.get(key, of_document.CFG_VALUE)
        name = ".".join(str(part) for part in path if isinstance(part, str))
        values, why = _given(detail)
        place = self.document.loc(path)
        return tell(rule, place, {"layer": "", "key": name, **values}, [why])


def _inside(detail: ErrorDetails) -> Path:
    """Return the way to the value that is wrong, without the steps of the schema."""
    key, *rest = detail["loc"]
    return (key, *(part for part in rest if isinstance(part, int)))


def _given(detail: ErrorDetails) -> tuple[dict[str, object], str]:
    """Return the value as the messages name it, and why it is wrong."""
    why = detail["msg"].removeprefix("Value error, ")
    why = _SAYS.get(detail["type"], why[:1].lower() + why[1:])
    value = detail["input"]
    shown = value if isinstance(value, str | int | float | list) else type(value).__name__
    return {"value": shown, "why": why}, why


_LAYER_KEYS: Final = (*LayerDescription.model_fields, *ALIASES)
_NETWORK_KEYS: Final = tuple(NetworkDescription.model_fields)


def _meant(key: str, known: tuple[str, ...]) -> str | None:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean `{close[0]}`?" if close else None
