"""What a model becomes on a device, and everything that stands against it, found in one go.

A model that may fit goes the whole road of the compiler, so that the verdict is the compiler's.
One that is too large, or that breaks a rule on the way, is looked at by its outline: what cannot
be imported or lowered is reported and cut out, and the rules of all later levels run on the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ai8xc.device import load_device
from ai8xc.dialects import ai8x, nn
from ai8xc.driver import Options, compile_graph, load_described, passes_of
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic, Rejected, errors
from ai8xc.ir.passes import Pass, PassContext, Step, run_pipeline
from ai8xc.ir.report_model import Survey
from ai8xc.passes.fuse_layers import FuseLayers
from ai8xc.passes.quantization.outline import outline
from ai8xc.plugins import load_backends, load_dialects, load_passes
from ai8xc.requests import check_requests
from ai8xc.rules.catalogue import check
from ai8xc.summary import layer_rows, margins

if TYPE_CHECKING:
    from ai8xc.device import Device
    from ai8xc.frontend.vendor_options import NetworkOptions

SMALL: Final = 2**17
"""Models of more weights are looked at by their outline first: quantising them takes a while."""

BEFORE_LAYERS: Final = "fuse-layers"
BEHIND_LAYERS: Final = "insert-copies,place-layers,check-placement"


class _Layers:
    """Hook that keeps the last graph of hardware layers."""

    def __init__(self) -> None:
        self.graph: Graph | None = None

    def after(self, step: Step, before: Graph, graph: Graph, ctx: PassContext) -> None:
        if graph.level == "ai8x":
            self.graph = graph


@dataclass(frozen=True)
class Model:
    """What could be read of a file, and what could not."""

    name: str
    graph: Graph | None
    findings: list[Diagnostic]


def survey(path: Path, options: Options, described: NetworkOptions | None = None) -> Survey:
    """Return the verdict on the model in a file for the device of the options.

    `described` goes with a network that is described for the vendor's tool. Raises `Rejected`
    with `unusable` for a file or options that cannot be used.
    """
    return survey_model(read(path, described), options)


def survey_graph(graph: Graph, options: Options) -> Survey:
    """Return the verdict on a graph of any level."""
    return survey_model(Model(graph.name, graph, []), options)


def read(path: Path, described: NetworkOptions | None = None) -> Model:
    """Return what can be read of a file; raises `Rejected` for one that cannot be used at all."""
    load_dialects()
    try:
        if path.suffix.lower() == ".onnx" and path.is_file():
            from ai8xc.frontend.onnx_model import survey_onnx

            return Model(path.name, *survey_onnx(path))
        return Model(path.name, *load_described(path, described))
    except Rejected as rejected:
        if rejected.unusable:
            raise
        return Model(path.name, None, rejected.diagnostics)


def survey_model(model: Model, options: Options) -> Survey:
    """Return the verdict on what could be read of a file."""
    load_passes()
    load_backends(options.load)
    device = load_device(options.device or "max78000")
    found = _verdict(model, device, options)
    if not errors(found.diagnostics):
        return found
    from ai8xc.cures import with_cures

    return with_cures(found, device, model.graph)


def _verdict(model: Model, device: Device, options: Options) -> Survey:
    graph = model.graph
    refused = list(check_requests({**options.network, **options.code}, device))
    if graph is not None and refused:
        return _without_requests(model, graph, device, refused)
    if graph is None:
        return Survey(model.name, device.name, tuple(model.findings), complete=False)
    broken = bool(errors(model.findings))
    if graph.level == "nn" and (broken or _values(graph) > SMALL):
        found = _by_outline(model.name, graph, device, model.findings)
        if errors(found.diagnostics):
            return found
    compiled = _compiled(model, graph, device, options)
    if compiled is not None:
        return compiled
    if graph.level == "nn":
        return _by_outline(model.name, graph, device, model.findings)
    return _by_layers(model.name, graph, device)


def _without_requests(
    model: Model, graph: Graph, device: Device, refused: list[Diagnostic]
) -> Survey:
    """Return what the rules say of a network that is to be run as the device cannot."""
    if graph.level == "nn":
        return _by_outline(model.name, graph, device, [*model.findings, *refused])
    found = _by_layers(model.name, graph, device)
    told = {finding.rule for finding in found.diagnostics}
    more = (*model.findings, *(x for x in refused if x.rule not in told))
    return replace(found, diagnostics=(*more, *found.diagnostics))


def _values(graph: Graph) -> int:
    return sum(op.type.size for op in graph.ops if isinstance(op, nn.Constant))


def _compiled(model: Model, graph: Graph, device: Device, options: Options) -> Survey | None:
    """Return the verdict of the compiler; None where it found errors before there were layers."""
    seen = _Layers()
    try:
        result = compile_graph(graph, replace(options, hooks=(*options.hooks, seen)))
    except Rejected as rejected:
        if rejected.unusable:
            raise
        if seen.graph is None:
            return None
        found = [*model.findings, *rejected.diagnostics]
        return _summary(model.name, seen.graph, device, found)
    found = [*model.findings, *result.diagnostics]
    layers = seen.graph
    if layers is None:
        return Survey(model.name, device.name, tuple(found), placed=True)
    found += [finding for finding in check(layers, device) if finding.severity == "note"]
    return _summary(model.name, layers, device, found)


def _by_layers(name: str, graph: Graph, device: Device) -> Survey:
    """Return the verdict on a network that is integers or hardware layers already."""
    ctx = PassContext(device)
    if graph.level == "ai8x":
        return _summary(name, graph, device, check(graph, device))
    if graph.level != "q":
        return Survey(name, device.name, (), complete=False)
    try:
        made, findings = _to_layers(graph, ctx)
    except Rejected as rejected:
        return Survey(name, device.name, tuple(rejected.diagnostics), complete=False)
    return _placed(name, made, device, ctx, findings)


def _by_outline(name: str, graph: Graph, device: Device, found: Iterable[Diagnostic]) -> Survey:
    """Return what the rules of all levels say of the outline of a float network."""
    findings = list(found)
    ctx = PassContext(device)
    try:
        graph = run_pipeline(graph, passes_of("float"), ctx)
    except Rejected as rejected:
        return Survey(name, device.name, (*findings, *rejected.diagnostics), complete=False)
    integers, more = outline(graph)
    findings += more
    try:
        layers, more = _to_layers(integers, ctx)
    except Rejected as rejected:  # some input or stand-in has no form on the device
        return Survey(name, device.name, (*findings, *rejected.diagnostics), complete=False)
    return _placed(name, layers, device, ctx, [*findings, *more])


def _to_layers(graph: Graph, ctx: PassContext) -> tuple[Graph, list[Diagnostic]]:
    """Return the hardware layers of all that can be one, and what cannot."""
    for step in _until(passes_of("layers"), BEFORE_LAYERS):
        graph = run_pipeline(graph, [step], ctx)
    before = len(ctx.diagnostics)
    made = FuseLayers().partial(graph, ctx)
    return made, ctx.diagnostics[before:]


def _until(steps: Sequence[Pass], name: str) -> Sequence[Pass]:
    names = [step.name for step in steps]
    return steps[: names.index(name)]


def _placed(
    name: str, graph: Graph, device: Device, ctx: PassContext, findings: list[Diagnostic]
) -> Survey:
    """Return the summary of layers, placed where nothing stands against it."""
    findings += [finding for finding in check(graph, device) if finding not in findings]
    if not errors(findings):
        behind = PassContext(device)
        try:
            graph = run_pipeline(graph, passes_of(BEHIND_LAYERS), behind)
        except Rejected as rejected:
            findings += rejected.diagnostics
        else:
            findings += behind.diagnostics
    return _summary(name, graph, device, findings)


def _summary(name: str, graph: Graph, device: Device, diagnostics: Iterable[Diagnostic]) -> Survey:
    found = tuple(diagnostics)
    layers = ai8x.layers(graph.ops)
    placed = bool(layers) and all(layer.place is not None for layer in layers)
    given = {op.name for op in graph.inputs}
    return Survey(
        name,
        device.name,
        found,
        layer_rows(graph, device),
        margins(graph, device),
        graph,
        placed,
        complete=not any(_cuts(finding, given) for finding in found),
    )


def _cuts(finding: Diagnostic, inputs: set[str]) -> bool:
    """Whether an input stands for what a finding is about."""
    subject: Op | None = finding.subject
    early = finding.rule.level in ("file", "nn", "q")
    return finding.severity == "error" and (
        early or (subject is not None and subject.name in inputs)
    )
