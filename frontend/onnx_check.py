"""What must hold of a model as a whole before its nodes are looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ai8xc.frontend import rules
from ai8xc.frontend.names import shown
from ai8xc.frontend.onnx_ops import NEWEST_OPSET, OLDEST_OPSET, STANDARD_DOMAINS
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.loc import Loc

if TYPE_CHECKING:
    from onnx import ModelProto


def check_model(model: ModelProto, source: str) -> list[Diagnostic]:
    """Return the findings that forbid to go through the nodes; `source` names the file."""
    loc = Loc(source)
    foreign = list(_not_text(model))
    if foreign:
        return [rules.NOT_UTF8.at(loc, name=name) for name in foreign]
    return [*_opset(model, loc), *_definitions(model, loc)]


def opset_of(model: ModelProto) -> int:
    """Return the version of the standard operator set; 0 where the model names none."""
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS]
    return max(versions, default=0)


def _names(model: ModelProto) -> Iterator[str]:
    graph = model.graph
    yield graph.name
    yield from (info.name for info in (*graph.input, *graph.output))
    yield from (tensor.name for tensor in graph.initializer)
    yield from (entry.domain for entry in model.opset_import)
    for info in graph.input:
        yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for tensor in graph.initializer:
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)


def _not_text(model: ModelProto) -> Iterator[str]:
    """Yield names that protobuf gives as bytes, or not at all, because they are not UTF-8."""
    names: Iterable[str | bytes] = _names(model)
    try:
        for name in names:
            if isinstance(name, bytes):
                yield repr(name)[1:]
    except UnicodeDecodeError as error:
        yield repr(error.object)[1:]


def _opset(model: ModelProto, loc: Loc) -> Iterator[Diagnostic]:
    version = opset_of(model)
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        yield rules.OPSET.at(
            loc,
            opset=version or "of the standard domain",
            notes=[f"opsets {OLDEST_OPSET} to {NEWEST_OPSET} can be imported"],
            help="convert the model with `onnx.version_converter`, or export it with another opset",
        )


def _definitions(model: ModelProto, loc: Loc) -> Iterator[Diagnostic]:
    """Check that every value has one definition and that there is something to compute."""
    graph = model.graph
    constants = [tensor.name for tensor in graph.initializer]
    constants += [tensor.values.name for tensor in graph.sparse_initializer]
    defined = Counter(constants)
    defined.update(info.name for info in graph.input if info.name not in constants)
    defined.update(name for node in graph.node for name in node.output if name)
    for name, count in defined.items():
        if count > 1:
            yield rules.DEFINED_TWICE.at(loc, name=shown(name))
    for function in model.functions:
        cure = "expand it with `onnx.inliner.inline_local_functions`"
        yield rules.FUNCTION.at(loc, name=shown(function.name), help=cure)
    if not graph.output:
        yield rules.NO_OUTPUT.at(loc)
