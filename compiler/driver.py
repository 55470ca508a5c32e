"""The driver: the one place that joins front ends, passes and backends."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ai8xc.backends.base import Output, backends
from ai8xc.device import load_device
from ai8xc.files import MANIFEST, text_files, unusable, write_folder
from ai8xc.grammar.pipeline import read_pipeline
from ai8xc.ir.diag import Diagnostic, Rejected, declare, errors
from ai8xc.ir.hooks import DumpIr, Say, VerifyEach
from ai8xc.ir.loc import UNKNOWN, Loc
from ai8xc.ir.passes import Hook, Pass, PassContext, PassSpec, build, run_pipeline
from ai8xc.ir.printer import constants, print_graph
from ai8xc.ir.prove import Prove, random_samples, real_sample
from ai8xc.ir.verify import verify
from ai8xc.manifest import manifest_text
from ai8xc.passes.pipelines import PIPELINES
from ai8xc.plugins import load_backends, load_dialects, load_passes
from ai8xc.report.record import Recording, Run
from ai8xc.requests import check_requests
from ai8xc.rules.description.of_samples import INP_DTYPE, INP_RANGE

if TYPE_CHECKING:
    from ai8xc.backends.base import Backend
    from ai8xc.device import Device
    from ai8xc.dialects.reg import Program
    from ai8xc.frontend.vendor_options import NetworkOptions
    from ai8xc.ir.core import Graph
    from ai8xc.ir.types import Array
    from ai8xc.passes.estimate_cycles import Estimate
    from ai8xc.passes.hardware.network import HardwareNetwork

UNKNOWN_KIND = declare(
    "IR060",
    "`{name}` is of no kind that can be read",
    """The suffix tells the kind of a model: `.onnx` is an ONNX model, `.pt2` what
    `torch.export.save` writes, `.yaml` a description for the vendor's tool, `.ir` the text of a
    graph.""",
)
NO_BACKEND = declare(
    "IR061",
    "there is no backend for {device} that writes {kinds}",
    """A backend turns the integer graph into files for one device. `--emit ir` needs none: it
    writes the text of the graph after each pass.""",
)
TOO_EARLY = declare(
    "IR064",
    "{kinds} cannot be written: the passes end at level `{reached}`, not at `{level}`",
    """A backend writes files from the last level of its road. `--pipeline` replaces the passes that
    lead there; `--emit ir` writes what any pipeline gives.""",
)
BAD_SAMPLE = declare(
    "IR062",
    "the sample cannot be used: {why}",
    """A sample is one input of the network without the batch axis: C x H x W or C x L. Integers
    count steps of 1/128, as the accelerators read pixels.""",
)


OWN_KINDS: Final = frozenset({"ir", "report"})
"""What `--emit` may name for every device: the text of each step, and the report."""

Reader = Callable[[Path], "Graph"]

READERS: Final[Mapping[str, str]] = {
    ".onnx": "ai8xc.frontend.onnx_model:read_onnx",
    ".pt2": "ai8xc.frontend.torch_model:read_pt2",
    ".ir": "ai8xc.files:read_ir",
}
"""Who reads a kind of file; imported when such a file comes."""

DESCRIPTIONS: Final = (".yaml", ".yml")
"""Descriptions for the vendor's tool: they come with files of weights and with options."""


@dataclass(frozen=True)
class Options:
    """How a model is compiled.

    `device` is the name of the chip, or None where none is needed. `pipeline` replaces the
    default passes; `settings` are options of single passes, by pass and option; `network` are
    fields of `ai8xc.dialects.settings.Settings` that differ from their defaults. `sample` is one
    input without the batch axis, `calibration` many with it. `emit` says which kinds of files are
    wanted; `load` names Python files with passes or backends. `sources` are the files that all
    this came from: the manifest lists them. `replace` places a network anew that has a placement;
    `code` are fields of `ai8xc.backends.ai8x.c_options.CodeOptions` that differ from theirs.
    """

    device: str | None = None
    pipeline: str | None = None
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    network: Mapping[str, object] = field(default_factory=dict)
    sample: Array | None = None
    calibration: Mapping[str, Array] | None = None
    emit: frozenset[str] = frozenset()
    load: tuple[Path, ...] = ()
    hooks: tuple[Hook, ...] = (VerifyEach(),)
    prove: Say | None = None
    sources: tuple[Path, ...] = ()
    replace: bool = False
    code: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Result:
    """What compiling a model gave: the last graph, notes and warnings, the files by name.

    `network` are the hardware layers; None where the passes did not come so far.
    """

    graph: Graph
    diagnostics: list[Diagnostic] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    network: HardwareNetwork | None = None

    @property
    def registers(self) -> Program | None:
        """The register program; None where the passes ended at an earlier level."""
        from ai8xc.dialects.reg import Program

        return Program.of(self.graph) if self.graph.level == "reg" else None

    @property
    def estimate(self) -> Estimate | None:
        """The cycles by layer; None for devices without a cycle model."""
        from ai8xc.passes.estimate_cycles import estimate

        return estimate(self.network.graph, self.network.device) if self.network else None

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write all files into a folder, or none; raises `Rejected` where that cannot be done."""
        write_folder(Path(folder), self.files, force=force)


def load(path: Path) -> Graph:
    """Return the model in a file, verified; raises `Rejected` where it cannot be used."""
    return load_described(path, None)[0]


def load_described(path: Path, described: NetworkOptions | None) -> tuple[Graph, list[Diagnostic]]:
    """Return the model in a file, verified, and warnings about it; raises `Rejected`.

    `described` goes with a network that is described for the vendor's tool.
    """
    if path.is_dir():
        raise unusable(path.name or str(path), "it is a folder")
    if path.suffix.lower() in DESCRIPTIONS:
        from ai8xc.frontend.vendor_network import read_network
        from ai8xc.frontend.vendor_options import NetworkOptions

        load_dialects()
        load_passes()  # their rules, too, are about the layers of a network that is refused
        graph, findings = read_network(path, described or NetworkOptions())
        return _verified(graph), findings
    place = READERS.get(path.suffix.lower())
    if place is None:
        known = [f"`{suffix}`" for suffix in (*READERS, *DESCRIPTIONS)]
        notes = [f"known are {', '.join(known)}"]
        finding = UNKNOWN_KIND.at(Loc(path.name), name=path.name, notes=notes)
        raise Rejected([finding], unusable=True)
    load_dialects()
    reader: Reader = pkgutil.resolve_name(place)
    return _verified(reader(path)), []


def load_module(module: object, sample: Array | None) -> Graph:
    """Return the network of a torch module for inputs like `sample`, verified.

    Layers of `ai8xc.training.layers` in training with quantisation come with their integers.
    Raises `Rejected` where it cannot be imported, and `TypeError` for what is no module.
    """
    from ai8xc.frontend.torch_export import import_module

    load_dialects()
    if "ai8xc.training.layers" in sys.modules:
        from ai8xc.training.export import deployed

        module = deployed(module)
    return _verified(import_module(module, None if sample is None else real_sample(sample)))


def _verified(graph: Graph) -> Graph:
    findings = errors(verify(graph))
    if findings:
        raise Rejected(findings)
    return graph


def passes_of(text: str, settings: Mapping[str, Mapping[str, object]] | None = None) -> list[Pass]:
    """Return the passes that a text names, named pipelines replaced by their passes.

    `settings` are added to the options in the text. Raises `Rejected` with all that is wrong.
    """
    if not text.strip():
        return []
    specs: list[PassSpec] = []
    for spec in read_pipeline(text):
        named = PIPELINES.get(spec.name)
        specs += read_pipeline(named) if named is not None else [spec]
    if settings:
        specs = [replace(s, options={**s.options, **settings.get(s.name, {})}) for s in specs]
    return build(specs)


def compile_graph(graph: Graph, options: Options) -> Result:
    """Run the road from the level of `graph` to the files that are wanted.

    Raises `Rejected` with all findings of the step that found an error, and `PassFailed`, our own
    mistake, with what is needed to repeat it.
    """
    device, backend = _backend(options)
    _check_requests(options, device)
    graph, options = _with_network(graph, options)
    text = options.pipeline
    anew = options.replace and graph.level == "ai8x"
    if text is None:
        text = _default_pipeline(graph.level, backend, anew=anew)
        if backend and "yaml" in options.emit:
            text = backend.as_vendor(text)
    pipeline = passes_of(text, options.settings)
    result = Result(graph)
    recording = Recording(graph)
    hooks = [*options.hooks, *_hooks(graph, options, result.files), recording]
    ctx = PassContext(*_given(graph, options, device))
    try:
        result.graph = run_pipeline(graph, pipeline, ctx, hooks)
    except Rejected as rejected:
        _keep_order(rejected, ctx)
        raise
    result.diagnostics = ctx.diagnostics
    result.network = _hardware(ctx)
    if device and "report" in options.emit:
        result.files |= _report(recording, options, device, ctx.diagnostics)
    kinds = sorted(options.emit & backend.emits) if backend else []
    if backend and kinds:
        if result.graph.level != backend.level:
            raise _too_early(result.graph, backend, kinds)
        out = Output()
        for kind in kinds:
            backend.emit(kind, result.graph, ctx, out)
        result.files |= out.files
        if out.facts:
            told = {"pipeline": text, "emit": sorted(options.emit), "settings": options.settings}
            told |= {"network": options.network} if options.network else {}
            told |= {"code": options.code} if options.code else {}
            shapes = [[int(n) for n in output.type.shape[1:]] for output in graph.outputs]
            facts = {**out.facts, "model": {"name": graph.name, "output_shapes": shapes}}
            facts |= _compared(graph, result.network, device) if anew else {}
            content = manifest_text(facts, told, options.sources, result.files)
            result.files[MANIFEST] = content.encode()
    return result


def _with_network(graph: Graph, options: Options) -> tuple[Graph, Options]:
    """Return the graph with the settings of the run.

    Whether average pools round is decided where they get integers: until then it is an option of
    that step, behind it each pool says so.
    """
    network = dict(options.network)
    rounds = network.pop("average_rounding", False) if graph.level in ("nn", "q") else False
    if rounds and graph.level == "nn":
        quantize = {**options.settings.get("quantize", {}), "average-rounding": True}
        options = replace(options, settings={**options.settings, "quantize": quantize})
    return graph.having(**network), options


def _check_requests(options: Options, device: Device | None) -> None:
    """Raise `Rejected` where an option asks for what the device has not."""
    if device is not None:
        refused = list(check_requests({**options.network, **options.code}, device))
        if refused:
            raise Rejected(refused)


def _compared(
    before: Graph, after: HardwareNetwork | None, device: Device | None
) -> dict[str, object]:
    """Return what the placement of the user's and ours cost."""
    from ai8xc.passes.placement.summary import summary

    if after is None or device is None:
        return {}
    both = {"before": summary(before, device), "after": summary(after.graph, device)}
    return {"replaced": both}


def compile(  # noqa: PLR0913 - the public name, as `ai8xc.compile`: all but two by keyword
    model: str | Path | object,
    device: str = "max78000",
    *,
    sample: Array | None = None,
    calibration: Array | Mapping[str, Array] | None = None,
    emit: Iterable[str] = ("c",),
    pipeline: str | None = None,
    network: Mapping[str, object] | None = None,
    weights: str | Path | None = None,
    replace: bool = False,
) -> Result:
    """Compile a model for a device; raises `ai8xc.Rejected` where that cannot be done.

    `model` is a file, or a torch module, which needs a sample: it is exported at inference.
    `sample` is one input (C x H x W or C x L), `calibration` many of them or arrays by the names
    of the inputs; integers count steps of 1/128. `network` are settings of the run, such as
    `{"input_mode": "fifo"}` (`ai8xc.dialects.settings`). `Result.write` writes the files.
    `weights` is the file of weights of a described network (`.yaml`); `replace` places it anew.
    """
    many = (
        calibration
        if isinstance(calibration, Mapping) or calibration is None
        else {"x": calibration}
    )
    files = [model, *([weights] if weights else [])]
    sources = tuple(Path(file) for file in files if isinstance(file, str | Path))
    options = Options(
        device,
        pipeline,
        network=network or {},
        sample=None if sample is None else np.asarray(sample),
        calibration=many,
        emit=frozenset(emit),
        sources=sources,
        replace=replace,
    )
    if weights is None or not isinstance(model, str | Path):
        return compile_graph(_loaded(model, sample), options)
    from ai8xc.frontend.vendor_options import NetworkOptions

    shape = None if sample is None else np.asarray(sample).shape
    given = NetworkOptions(load_device(device), Path(weights), None, shape, options.network)
    graph, findings = load_described(Path(model), given)
    result = compile_graph(graph, options)
    result.diagnostics[:0] = findings
    return result


def check(
    model: str | Path | object, device: str = "max78000", *, sample: Array | None = None
) -> list[Diagnostic]:
    """Return everything that is wrong with a model for a device, and what should be known.

    A torch module needs a sample, for the shape of its input.
    """
    from ai8xc.survey import survey, survey_graph

    if isinstance(model, str | Path):
        return list(survey(Path(model), Options(device)).diagnostics)
    try:
        graph = _loaded(model, sample)
    except Rejected as rejected:
        if rejected.unusable:
            raise
        return rejected.diagnostics
    return list(survey_graph(graph, Options(device)).diagnostics)


def _loaded(model: str | Path | object, sample: Array | None) -> Graph:
    if isinstance(model, str | Path):
        return load(Path(model))
    return load_module(model, None if sample is None else np.asarray(sample))


def _backend(options: Options) -> tuple[Device | None, Backend | None]:
    """Return the device and its backend; raises `Rejected` if it cannot emit what is wanted."""
    load_passes()
    load_backends(options.load)
    if options.device is None:
        return None, None
    device = load_device(options.device)
    cls = backends().get(device.name)
    missing = options.emit - OWN_KINDS - (cls.emits if cls else frozenset())
    if missing:
        kinds = ", ".join(f"`{kind}`" for kind in sorted(missing))
        known = ", ".join(f"`{kind}`" for kind in sorted(OWN_KINDS | (cls.emits if cls else set())))
        finding = NO_BACKEND.at(
            UNKNOWN, help=f"`--emit` takes {known}", device=device.name, kinds=kinds
        )
        raise Rejected([finding], unusable=True)
    return device, cls() if cls else None


def _too_early(graph: Graph, backend: Backend, kinds: Sequence[str]) -> Rejected:
    names = ", ".join(f"`{kind}`" for kind in kinds)
    finding = TOO_EARLY.at(UNKNOWN, kinds=names, level=backend.level, reached=graph.level)
    return Rejected([finding], unusable=True)


def _default_pipeline(level: str, backend: Backend | None, *, anew: bool = False) -> str:
    """Return the road from a level to the end; `anew`: whatever placement there is."""
    if level == "ai8x":
        if backend is None:
            return ""
        return backend.replacing if anew else f"check-rules,{backend.lowering}"
    parts = {"nn": ["float", "integer"], "q": []}.get(level)
    if parts is None:
        return ""
    return ",".join([*parts, *([backend.pipeline] if backend and backend.pipeline else [])])


def _given(graph: Graph, options: Options, device: Device | None) -> Iterator[object]:
    if device is not None:
        yield device
    if options.code:
        from ai8xc.backends.ai8x.c_options import CodeOptions

        yield CodeOptions(**options.code)  # type: ignore[arg-type] # typed by their names
    if options.sample is not None or options.prove or options.emit - {"ir"}:
        from ai8xc.passes.hardware.sample import Sample

        yield Sample(tuple(_samples(graph, options.sample)))
    if options.calibration is not None:
        from ai8xc.passes.quantization.calibration import Calibration

        yield Calibration(_by_input(graph, options.calibration))


def _report(
    recording: Recording, options: Options, device: Device, found: Sequence[Diagnostic]
) -> dict[str, bytes]:
    from ai8xc.report.files import report_files

    name = options.sources[0].name if options.sources else recording.given.name
    samples = _samples(recording.given, options.sample)
    return report_files(Run(name, device, recording, found, samples))


def _by_input(graph: Graph, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return real values by the names of the inputs; `x` is that of a single input."""
    if len(graph.inputs) == 1 and graph.inputs[0].name not in arrays and "x" in arrays:
        arrays = {graph.inputs[0].name: arrays["x"]}
    return {name: real_sample(array) for name, array in arrays.items()}


def _hooks(graph: Graph, options: Options, files: dict[str, bytes]) -> Iterator[Hook]:
    if "ir" in options.emit:
        files |= text_files("00-input", print_graph(graph), constants(graph))
        yield DumpIr(lambda stem, text, arrays: files.update(text_files(stem, text, arrays)))
    if options.prove:
        yield Prove(_samples(graph, options.sample), options.prove, _on_emulator)


def _on_emulator(graph: Graph) -> list[Array]:
    """Return the outputs of a register program, as the emulator of the device computes them."""
    from ai8xc.backends.firmware.registers import outputs_of

    return outputs_of(graph)


def _samples(graph: Graph, sample: Array | None) -> list[Array]:
    """Return real values with a batch axis for each input; random ones where none are given."""
    if sample is None:
        return random_samples(graph)
    wanted = graph.inputs[0].type.shape[1:]
    if len(graph.inputs) != 1:
        raise _bad_sample(f"the network has {len(graph.inputs)} inputs")
    if sample.dtype.kind not in "fiu":
        raise _refused(INP_DTYPE.at(UNKNOWN, dtype=sample.dtype))
    if not np.isfinite(sample).all():
        raise _bad_sample("it must hold finite numbers")
    if sample.dtype.kind in "iu" and sample.size and (sample.min() < -128 or sample.max() > 127):
        raise _refused(INP_RANGE.at(UNKNOWN, low=sample.min(), high=sample.max()))
    if sample.shape == wanted[: sample.ndim] and set(wanted[sample.ndim :]) == {1}:
        sample = sample.reshape(wanted)  # data of one column are sequences
    if sample.shape != wanted:
        raise _bad_sample(f"its shape is {sample.shape}, the input's is {wanted}")
    return [real_sample(sample)[None]]


def _bad_sample(why: str) -> Rejected:
    return _refused(BAD_SAMPLE.at(UNKNOWN, why=why))


def _refused(finding: Diagnostic) -> Rejected:
    return Rejected([finding], unusable=True)


def _hardware(ctx: PassContext) -> HardwareNetwork | None:
    from ai8xc.passes.hardware.network import HardwareNetwork

    return ctx.find(HardwareNetwork)


def _keep_order(rejected: Rejected, ctx: PassContext) -> None:
    """Put what earlier steps have reported in front of what stopped the road."""
    known = {id(diagnostic) for diagnostic in rejected.diagnostics}
    earlier = [diagnostic for diagnostic in ctx.diagnostics if id(diagnostic) not in known]
    rejected.diagnostics[:0] = earlier
