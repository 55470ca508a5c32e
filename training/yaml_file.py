"""YAML files with a schema: the safe subset, duplicate keys refused, errors by field and line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from ai8xc.ir.diag import Diagnostic, Rejected
from ai8xc.ir.loc import Loc
from ai8xc.training.qat_rules import FIELD, UNREADABLE

MAX_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 30

Schema = TypeVar("Schema", bound=BaseModel)


def read_yaml(path: Path, schema: type[Schema]) -> Schema:
    """Return the content of a YAML file as an object of a schema.

    Raises `Rejected` (unusable) with every finding, each with its line.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refused(path, f"it is larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(path, node))
        value = yaml.safe_load(text)
    except OSError as error:
        raise _refused(path, error.strerror or "it cannot be opened") from error
    except UnicodeDecodeError as error:
        raise _refused(path, "it is not text in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _refused(path, error.problem or "it is no YAML", line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refused(path, str(error)) from error
    return checked(schema, value, path.name, lines)


def checked(
    schema: type[Schema], value: object, source: str, lines: dict[tuple[str, ...], int]
) -> Schema:
    """Return a value as an object of a schema; raises `Rejected` (unusable) with every finding."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        findings = [_finding(schema, dict(detail), source, lines) for detail in error.errors()]
        raise Rejected(findings, unusable=True) from error


def _finding(
    schema: type[BaseModel], detail: dict[str, Any], source: str, lines: dict[tuple[str, ...], int]
) -> Diagnostic:
    way = tuple(str(step) for step in detail["loc"])
    known = way
    while known and known not in lines:
        known = known[:-1]
    why, help = detail["msg"], None
    if detail["type"] == "extra_forbidden":
        why = "there is no such field"
        near = difflib.get_close_matches(way[-1], list(_fields(schema)), 1)
        help = f"did you mean `{near[0]}`?" if near else None
    elif detail["type"] == "missing":
        why = "this field is missing"
    elif detail["type"] == "model_type":
        why = "it must be a mapping of fields to values"
    place = Loc(source, (), lines.get(known, 1))
    return FIELD.at(place, help=help, field=".".join(way) or "the file", why=why)


def _fields(schema: type[BaseModel]) -> Iterator[str]:
    yield from schema.model_fields


def _refused(path: Path, why: str, line: int = 0) -> Rejected:
    place = Loc(path.name, (), line) if line else Loc(path.name)
    return Rejected([UNREADABLE.at(place, why=why)], unusable=True)


def _lines(
    path: Path, node: Any, way: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each value's way and line; raises `Rejected` for a key that is there twice."""
    import yaml

    if node is None:
        return
    if len(way) > _MAX_DEPTH:
        raise _refused(path, "it is nested too deeply", node.start_mark.line + 1)
    yield way, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise _refused(path, f"the key `{key.value}` is there twice", line)
            seen.add(str(key.value))
            yield from _lines(path, value, (*way, str(key.value)))
            yield (*way, str(key.value)), line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(path, value, (*way, str(index)))
