"""YAML with positions: the safe subset, duplicate keys refused, every value's line and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ai8xc.frontend.vendor_rules import TOO_LARGE
from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.rules.description.of_document import CFG_DUPKEY, CFG_YAML

if TYPE_CHECKING:
    import yaml

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists."""

MAX_BYTES: Final = 4 << 20
_MAX_VALUES: Final = 100_000
_MAX_DEPTH: Final = 20
_TAGS: Final = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass
class Document:
    """A parsed file: plain values, and where each of them stands.

    `keys` are the places of the keys of mappings, `positions` those of the values.
    """

    source: str
    value: object = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)

    def loc(self, path: Path, node: str = "") -> Loc:
        """Return the place of a value, or of the nearest value around it."""
        return self._nearest(self.positions, path, node)

    def key_loc(self, path: Path, node: str = "") -> Loc:
        """Return the place of the key of a value, or of the nearest value around it."""
        return self._nearest({**self.positions, **self.keys}, path, node)

    def _nearest(self, known: Mapping[Path, tuple[int, int]], path: Path, node: str) -> Loc:
        while path and path not in known:
            path = path[:-1]
        line, column = known.get(path, (1, 1))
        return Loc(self.source, (node,) if node else (), line, column)


def read_yaml(text: str, source: str) -> Document:
    """Return the document in a text; raises `Rejected` (unusable) with every finding."""
    import yaml

    document = Document(source)
    if len(text) > MAX_BYTES:
        raise _too_large(Loc(source), f"is larger than {MAX_BYTES} bytes")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _Walk(document, loader).value(node, ())
    except yaml.YAMLError as error:
        raise Rejected([_syntax(error, source)], unusable=True) from None
    except RecursionError:
        raise _too_large(Loc(source), "is nested too deep") from None
    if document.findings:
        raise Rejected(document.findings, unusable=True)
    return document


def _syntax(error: yaml.YAMLError, source: str) -> Diagnostic:
    import yaml

    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        loc = Loc(source, (), mark.line + 1, mark.column + 1)
        return CFG_YAML.at(loc, why=error.problem or error.context)
    return CFG_YAML.at(Loc(source), why=str(error).partition("\n")[0])


def _too_large(loc: Loc, why: str) -> Rejected:
    return Rejected([TOO_LARGE.at(loc, why=why)], unusable=True)


class _Walk:
    """Turns nodes into values and notes where each one stands."""

    def __init__(self, document: Document, loader: yaml.SafeLoader) -> None:
        self.document = document
        self.loader = loader
        self.count = 0

    def value(self, node: yaml.Node, path: Path) -> object:
        """Return the value of a node."""
        import yaml

        self.count += 1
        loc = self.place(node)
        if self.count > _MAX_VALUES or len(path) > _MAX_DEPTH:
            raise _too_large(loc, "has too many values or is nested too deep")
        self.document.positions[path] = (loc.line, loc.column)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _TAGS:
            self.document.findings.append(CFG_YAML.at(loc, why=f"the tag `{node.tag}`"))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self.scalar(node, loc)

    def place(self, node: yaml.Node) -> Loc:
        """Return where a node begins."""
        return Loc(self.document.source, (), node.start_mark.line + 1, node.start_mark.column + 1)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        """Return a mapping, noting keys that stand twice or are no words."""
        import yaml

        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            loc = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.findings.append(CFG_YAML.at(loc, why="a key must be a word"))
                continue
            key = str(key_node.value)
            if key in found:
                self.document.findings.append(CFG_DUPKEY.at(loc, key=key))
            self.document.keys[*path, key] = (loc.line, loc.column)
            found[key] = self.value(value_node, (*path, key))
        return found

    def scalar(self, node: yaml.Node, loc: Loc) -> object:
        """Return a scalar by the rules of YAML 1.1; 0 for an integer that is refused."""
        try:
            value: object = self.loader.construct_object(node)
        except ValueError as error:  # dates that do not exist, integers of thousands of digits
            self.document.findings.append(TOO_LARGE.at(loc, why=f"has a bad value ({error})"))
            return 0
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            why = "has an integer of more than 64 bits"
            self.document.findings.append(TOO_LARGE.at(loc, why=why))
            return 0
        return value
