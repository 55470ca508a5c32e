"""A run of the compiler as one plain dictionary, which JSON can hold and the page shows.

What was not reached is None: a rejected network has no memory maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ai8xc import __version__
from ai8xc.device import Device
from ai8xc.dialects import ai8x
from ai8xc.ir.core import Graph, Op
from ai8xc.ir.diag import Diagnostic
from ai8xc.ir.interp import values
from ai8xc.ir.prove import feed, snr_db, to_real
from ai8xc.ir.report_json import to_record
from ai8xc.passes.estimate_cycles import Estimate, LayerEstimate, estimate
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork, placed
from ai8xc.report.memory import bias_memory, data_memory, kernel_memory, layer_constants
from ai8xc.report.record import Run

Json = dict[str, object]
SCHEMA = 1
"""Number of the dictionary's form."""


def report(run: Run) -> Json:
    """Return all that is known about a run."""
    device, hardware = run.device, run.recording.layers
    network = None
    if hardware is not None and placed(hardware):
        network = HardwareNetwork.of(hardware, device)
    shown = run.recording.last
    found = estimate(shown, device) if network is not None else None
    return {
        "schema": SCHEMA,
        "tool": {"name": "ai8xc", "version": __version__},
        "model": run.model,
        "network": run.recording.given.name,
        "device": _device(device),
        "fits": run.fits,
        "level": shown.level,
        "graph": graph_of(shown, run.diagnostics),
        "layers": None if network is None else _layers(network, found, noise(run)),
        "cycles": None if found is None else _cycles(found),
        "data_memory": None if network is None else data_memory(network),
        "kernel_memory": None if network is None else kernel_memory(network),
        "bias_memory": None if network is None else bias_memory(network),
        "diagnostics": [_finding(finding, shown) for finding in run.diagnostics],
    }


def _device(device: Device) -> Json:
    return {
        "name": device.name,
        "processors": device.processors,
        "max_layers": device.max_layers,
        "data_bytes": device.data_bytes,
        "kernel_bytes": device.kernel_bytes,
        "bias_bytes": device.bias_bytes,
        "peak_macs_per_cycle": device.processors * device.kernel_bytes_per_column,
    }


# The graph


def graph_of(graph: Graph, diagnostics: Sequence[Diagnostic]) -> Json:
    """Return the ops without constants, and who reads whom, by number."""
    shown = [op for op in graph.ops if not _is_constant(op)]
    number = {op: i for i, op in enumerate(shown)}
    steps: dict[Op, int] = {op: i for i, op in enumerate(ai8x.layers(graph.ops))}
    nodes: list[Json] = []
    for op in shown:
        findings = [i for i, d in enumerate(diagnostics) if _is_about(d, op)]
        nodes.append(
            {
                "name": op.name,
                "op": op.opcode or "input",
                "detail": detail(op),
                "shape": list(op.type.shape[1:]),
                "nodes": list(op.loc.nodes),
                "layer": steps.get(op),
                "output": op in graph.outputs,
                "findings": findings,
            }
        )
    reads = ((x, op) for op in shown for x in dict.fromkeys(op.operands) if x in number)
    return {"nodes": nodes, "edges": [[number[x], number[op]] for x, op in reads]}


def _is_constant(op: Op) -> bool:
    return op.opcode.endswith(".constant")


def detail(op: Op) -> str:
    """Return what is special about an op, in a few words."""
    if isinstance(op, ai8x.Layer):
        return ", ".join(_words(op))
    kernel = op.attributes().get("kernel")
    return "x".join(map(str, kernel)) if isinstance(kernel, tuple) and kernel else ""


def _words(op: ai8x.Layer) -> list[str]:
    words = []
    if op.pool is not None:
        kind = "average" if op.pool.average else "max"
        kind = "every" if set(op.pool.kernel) == {1} else f"{kind} {_times(op.pool.kernel)}"
        words.append(f"{kind} / {_times(op.pool.strides)}")
    if op.eltwise != "none":
        words.append(f"{op.eltwise} of {op.parts}")
    if isinstance(op, ai8x.Conv2d | ai8x.Conv1d | ai8x.ConvTranspose2d):
        words.append(_times(op.kernel))
    if isinstance(op, ai8x.Weighted):
        words.append(f"{op.weight_bits}-bit")
        if op.activation != "none":
            words.append(op.activation)
    return words


def _times(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _is_about(diagnostic: Diagnostic, op: Op) -> bool:
    """Whether a finding names an op: itself, or a node of the user's that it stands for."""
    if diagnostic.subject is not None and diagnostic.subject.name == op.name:
        return True
    return bool(set(diagnostic.loc.nodes) & set(op.loc.nodes))


def _finding(diagnostic: Diagnostic, graph: Graph) -> Json:
    shown = [op for op in graph.ops if not _is_constant(op)]
    about = [i for i, op in enumerate(shown) if _is_about(diagnostic, op)]
    return {**to_record(diagnostic), "explanation": diagnostic.rule.explanation, "about": about}


# Layers


def _layers(
    network: HardwareNetwork, found: Estimate | None, ratios: Mapping[str, float]
) -> list[Json]:
    times = {layer.name: layer for layer in found.layers} if found else {}
    return [
        {**_layer(layer), **_time(times.get(layer.op.name)), **_ratio(ratios.get(layer.op.name))}
        for layer in network.sequence
    ]


def _layer(layer: HardwareLayer) -> Json:
    op, place = layer.op, layer.place
    return {
        "name": op.name,
        "nodes": list(op.loc.nodes),
        "number": layer.number,
        "operation": op.opcode.removeprefix("ai8x."),
        "detail": detail(op),
        "streaming": layer.streaming,
        "readahead": op.mode.readahead,
        "calcx4": layer.calcx4,
        "input": list(op.in_shape),
        "output": list(layer.out_shape),
        "passes": layer.passes,
        "processors": f"{place.processors:#018x}",
        "output_processors": f"{place.output_processors:#018x}",
        "in_offset": place.in_offset,
        "out_offset": place.out_offset,
        "kernel_start": place.kernel_start,
        "weight_bits": layer.weight_bits if layer.stores_kernels else None,
        "weight_bytes": layer_constants(op),
    }


def _time(found: LayerEstimate | None) -> Json:
    if found is None:
        return {"cycles": None, "macs": None, "macs_per_cycle": None, "percent_of_peak": None}
    c = found.cycles
    return {
        "cycles": {
            "total": found.total,
            "output": c.output,
            "fetch": c.fetch,
            "padding": c.padding,
            "setup": c.setup,
            "estimated": found.estimated,
        },
        "macs": found.macs,
        "macs_per_cycle": round(found.macs_per_cycle, 3),
        "percent_of_peak": round(found.percent, 3),
    }


def _ratio(ratio: float | None) -> Json:
    """Return the noise of a layer; without any it is exact, and JSON knows no infinity."""
    if ratio is None or math.isnan(ratio):
        return {"snr_db": None, "exact": False}
    if math.isinf(ratio):
        return {"snr_db": None, "exact": ratio > 0}
    return {"snr_db": round(ratio, 2), "exact": False}


def _cycles(found: Estimate) -> Json:
    return {
        "total": found.total,
        "macs": found.macs,
        "weight_words": found.weight_words,
        "input_words": found.input_words,
    }


def noise(run: Run) -> dict[str, float]:
    """Return the signal-to-noise ratio in dB of each integer op that a float op has the name of."""
    real, whole = run.recording.real, run.recording.whole
    if real is None or whole is None:
        return {}
    reference = {op.name: value for op, value in values(real, feed(real, run.samples))}
    found = {}
    for op, value in values(whole, feed(whole, run.samples)):
        before = reference.get(op.name)
        if op.operands and before is not None and before.shape == value.shape:
            found[op.name] = snr_db(before, to_real(value, op.type))
    return found
