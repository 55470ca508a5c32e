"""Networks described for the vendor's tool: YAML and weights to a graph of placed layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ai8xc.dialects import ai8x
from ai8xc.dialects.settings import UnloadEntry
from ai8xc.frontend import vendor_rules as rules
from ai8xc.frontend.vendor_description import Description, describe
from ai8xc.frontend.vendor_layers import PROCESSORS, LayerBuilder
from ai8xc.frontend.vendor_options import NetworkOptions
from ai8xc.frontend.vendor_sequence import INPUT, NET_START, Run, Step, sequence
from ai8xc.frontend.vendor_text import MAX_BYTES, read_yaml
from ai8xc.frontend.vendor_weights import assign
from ai8xc.ir.core import Graph, Input, Mask, Op, make_graph
from ai8xc.ir.diag import Diagnostic, Rejected, errors
from ai8xc.ir.loc import Loc
from ai8xc.ir.types import TensorType
from ai8xc.rules.catalogue import check
from ai8xc.rules.description import of_document, of_keys, of_samples, of_sizes


def read_network(path: Path, options: NetworkOptions) -> tuple[Graph, list[Diagnostic]]:
    """Return the network of a description and its warnings; raises `Rejected` with all errors."""
    description = describe(read_yaml(_text(path), path.name))
    run = sequence(description, options)
    assigned = assign(description, run.steps, options)
    by_index = {step.index: step for step in run.steps}
    following = {s.index: by_index[s.following] for s in run.steps if s.following in by_index}
    last = run.order[-1].index
    builder = LayerBuilder(description, options, assigned.layers, following, last)
    findings = [*description.findings, *run.findings, *assigned.findings]
    ops = list(_build(builder, run, options))
    findings += [*builder.findings, *_notes(description, run), *_unload_findings(description)]
    findings.sort(key=lambda finding: (finding.loc.line, finding.loc.column))
    graph = make_graph(path.stem, "ai8x", ops, _outputs(builder, run.order))
    snoop = tuple(description.network.snoop or ())
    settings = {"in_place": False, **options.network, "snoop": snoop or None}
    graph = graph.having(**settings, unload=_unload(description))
    if errors(findings):
        raise Rejected([*findings, *_limits(graph, builder, run)])
    return graph, findings


def _limits(graph: Graph, builder: LayerBuilder, run: Run) -> list[Diagnostic]:
    """Return the rules of the hardware that the layers break as far as they are known.

    Where layers are left out, nothing is said of what follows from the order of the others.
    """
    if builder.options.device is None:
        return []
    try:
        found = errors(check(graph, builder.options.device))
    except Rejected:
        return []
    broken = {s.name for s in run.order if s.place in builder.description.broken}
    missing = len(ai8x.layers(graph.ops)) < len(run.order)
    found = [x for x in found if _subject(x) not in broken and x.rule.id != NET_START]
    found = [x for x in found if x.rule.id not in OF_COUNTS or _subject(x) not in builder.misread]
    return [x for x in found if not (missing and x.rule.id.startswith(OF_ORDER))]


def _subject(finding: Diagnostic) -> str:
    return finding.subject.name if finding.subject is not None else ""


OF_COUNTS: Final = ("PROC-COUNT", "OPROC-COUNT")
"""Rules that follow from the channels of a layer, which are wrong where its data do not fit."""

OF_ORDER: Final = ("NET-START-", "NET-QUAD0", "SEQ-", "STREAM-", "FIFO-", "FFIFO-", "INP-")
"""How the names of rules begin that look at the first layer, or at layers in turn."""


def _build(builder: LayerBuilder, run: Run, options: NetworkOptions) -> list[Op]:
    given = _input(builder, run.order[0], options)
    builder.values[INPUT] = given
    return [given, *[builder.build(step) for step in run.order]]


def _input(builder: LayerBuilder, first: Step, options: NetworkOptions) -> Input:
    """Return the input: as large as the first layer or the sample says."""
    layer, sample = first.layer, options.input_shape
    size = layer.in_dim
    channels = layer.in_channels
    weights = builder.weights.get(first.index)
    loc = builder.description.loc(first.place, node=first.name)
    if size is None and sample is None:
        raise Rejected([rules.NO_SIZE.at(loc)])
    if sample is not None:
        shape = (*sample, 1, 1)[:3]
    else:
        if channels is None and weights is not None:
            channels = weights.in_channels
        if channels is None:
            raise Rejected([of_sizes.CHAN_ZERO.at(loc, layer=first.name)])
        assert size is not None
        top, bottom = layer.in_crop or (0, 0)
        if layer.flatten:
            channels //= size[0] * size[1]
        shape = (channels * first.parts, size[0] + top + bottom, size[1])
    if sample is not None:
        shape = _of_sample(builder, first, shape)
    source = builder.description.document.source
    return Input(TensorType((1, *shape), "i8"), name="x", loc=Loc(source))


def _of_sample(builder: LayerBuilder, first: Step, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the input; a sample of another one than the layer reads is reported."""
    layer, weights = first.layer, builder.weights.get(first.index)
    channels, rows, columns = shape
    loc = builder.description.loc(first.place, node=first.name)
    wanted = layer.in_channels
    if wanted is None and weights is not None:
        wanted = weights.in_channels
    if layer.flatten:  # counts its pixels as channels
        wanted = None
    plain = first.inputs in (None, (INPUT,))
    if wanted is not None and layer.flatten:
        wanted //= rows * columns
    if wanted is not None and plain and channels != wanted * first.parts:
        values = {"layer": first.name, "count": channels, "wanted": wanted * first.parts}
        notes = () if weights is None or layer.in_channels is not None else weights.notes
        builder.findings.append(rules.tell(of_samples.INP_CHAN, loc, values, notes))
        channels = wanted * first.parts
    size, (top, bottom) = layer.in_dim, layer.in_crop or (0, 0)
    if size is not None and plain and (rows - top - bottom) * columns != size[0] * size[1]:
        values = {"layer": first.name, "size": rows * columns, "wanted": size[0] * size[1]}
        builder.findings.append(rules.tell(of_samples.INP_DIM, loc, values))
        rows, columns = size[0] + top + bottom, size[1]
    return channels, rows, columns


def _outputs(builder: LayerBuilder, order: Sequence[Step]) -> list[Op]:
    marked = [step for step in order if step.layer.output] or [order[-1]]
    return [builder.values[step.index] for step in sorted(marked, key=lambda step: step.index)]


def _unload(description: Description) -> tuple[UnloadEntry, ...] | None:
    """Return what is copied in place of the outputs, None where they are."""
    return (
        tuple(
            (Mask(e.processors), e.channels, *e.dim, e.offset & ~3, e.write_gap, e.width)
            for e in description.network.unload or ()
        )
        or None
    )


def _unload_findings(description: Description) -> Iterator[Diagnostic]:
    """Yield entries whose processors do not hold their channels; section 3.2."""
    for place, entry in enumerate(description.network.unload or ()):
        passes = -(-entry.channels // PROCESSORS)
        lanes = -(-entry.channels // passes)
        wanted = min(-(-lanes // 4) * 4, PROCESSORS) if passes > 1 else lanes
        count = entry.processors.bit_count()
        if count < wanted or (passes > 1 and count != wanted):
            why = f"{count} processors for {entry.channels} channels, which need {wanted}"
            yield of_keys.UNLOAD_KEYS.at(description.document.loc(("unload", place)), why=why)


def _notes(description: Description, run: Run) -> list[Diagnostic]:
    """Return what the description leaves to defaults, and outputs that are not read."""
    found = []
    for step in run.order:
        layer, loc = step.layer, description.loc(step.place, node=step.name)
        if step.place in description.broken:
            continue
        if layer.op is None:
            found.append(of_keys.OP_DEFAULT.at(loc, layer=step.name))
        if layer.activate is None and step.operator != "none":
            found.append(of_keys.ACT_DEFAULT.at(loc, layer=step.name))
        if layer.out_offset is None:
            found.append(of_keys.OUTOFF_DEFAULT.at(loc, layer=step.name))
        if (layer.max_pool or layer.avg_pool) and layer.pool_stride is None:
            found.append(of_keys.POOLSTRIDE_DEFAULT.at(loc, layer=step.name))
    if any(step.layer.output for step in run.order) and not run.order[-1].layer.output:
        last = run.order[-1]
        loc = description.loc(last.place, node=last.name)
        marked = next(step.name for step in run.order if step.layer.output)
        found.append(of_document.NET_OUTPUT_LAST.at(loc, layer=marked))
    return found


def _text(path: Path) -> str:
    try:
        content = path.read_bytes() if path.stat().st_size <= 4 * MAX_BYTES else None
        if content is None:
            raise _unreadable(path, f"it has more than {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise _unreadable(path, (error.strerror or "unknown error").lower()) from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"byte {error.start} is not UTF-8") from None


def _unreadable(path: Path, why: str) -> Rejected:
    finding = of_document.CFG_FILE.at(Loc(path.name), name=path.name, why=why)
    return Rejected([finding], unusable=True)
