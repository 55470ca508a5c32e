"""What the manifest says about a project: its interface, its memory and its register program.

With the tables in the C headers this is all that is needed to run the project on an emulator.
"""

from __future__ import annotations

from collections.abc import Sequence

from ai8xc.backends.ai8x.c_tables import input_number
from ai8xc.backends.ai8x.emit_c import CProject
from ai8xc.dialects.reg import Program, Unload
from ai8xc.passes.cycle_bound import lower_bounds
from ai8xc.passes.estimate_cycles import Estimate, estimate
from ai8xc.passes.hardware.layer import HardwareLayer
from ai8xc.passes.hardware.network import HardwareNetwork
from ai8xc.passes.hardware.sample import SampleSums


def facts(
    project: CProject, network: HardwareNetwork | None, sums: SampleSums | None = None
) -> dict[str, object]:
    """Return the entries of the manifest, by name.

    `network` is that which was lowered, `sums` are what its layers give for the sample.
    """
    program = project.program
    estimated = estimate(network.graph, network.device) if network else None
    bounds = lower_bounds(network.graph, network.device) if network else None
    return {
        "name": project.name,
        "device": program.device,
        "network": _network(program),
        "memory": _memory(project),
        "layers": _layers(network, sums, estimated, bounds) if network else [],
        "cycles": _cycles(estimated) if estimated else None,
        "least_cycles": sum(bounds) if bounds else None,
        **({"files": project.file_names} if project.file_names else {}),
        "program": {"express": project.express, "functions": _functions(program)},
    }


def _functions(program: Program) -> list[dict[str, object]]:
    """Return the register accesses in the form of `registers.json`."""
    return [
        {"name": function.name, "writes": [access.as_json() for access in function.accesses]}
        for function in program.functions
    ]


def _layers(
    network: HardwareNetwork,
    sums: SampleSums | None,
    estimated: Estimate | None,
    bounds: Sequence[int] | None,
) -> list[dict[str, object]]:
    found = [_layer(layer) for layer in network.sequence]
    for layer, entry in zip(network.sequence, found, strict=True):
        if sums is not None:
            entry["sample_crc32"] = " ".join(f"{c:08x}" for c in sums.channels[layer.number])
    if estimated is not None:
        for entry, of in zip(found, estimated.layers, strict=True):
            entry |= {"cycles": of.total, "macs": of.macs, "dominated_by": of.cycles.dominating}
    if bounds is not None:
        for entry, least in zip(found, bounds, strict=True):
            entry["least_cycles"] = least
    return found


def _cycles(estimated: Estimate) -> dict[str, int]:
    """Return the cycles from start to done, and the words that are loaded before."""
    return {
        "total": estimated.total,
        "macs": estimated.macs,
        "peak_macs_per_cycle": estimated.peak,
        "weight_words": estimated.weight_words,
        "input_words": estimated.input_words,
    }


def _layer(layer: HardwareLayer) -> dict[str, object]:
    """Return what was decided for a layer."""
    place = layer.place
    return {
        "name": layer.op.name,
        "nodes": list(layer.op.loc.nodes),
        "operation": layer.op.opcode.removeprefix("ai8x."),
        "number": layer.number,
        "shape": list(layer.out_shape),
        "processors": f"{place.processors:#018x}",
        "output_processors": f"{place.output_processors:#018x}",
        "in_offset": place.in_offset,
        "out_offset": place.out_offset,
        "read_gap": place.read_gap,
        "write_gap": place.write_gap,
        "weight_bits": layer.weighted.weight_bits if layer.weighted else None,
        "readahead": layer.op.mode.readahead,
        "calcx4": layer.calcx4,
        "kernel_start": place.kernel_start,
        "bias_group": place.bias_group,
        "bias_start": place.bias_start,
    }


def _input(program: Program) -> dict[str, object]:
    graph = program.graph
    fold = graph.get("fold")
    processors = graph.get("input_processors")
    loaded_from = graph.get("input_loaded_from")
    return {
        "shape": _numbers(graph.get("input_shape")),
        **({"loaded_from": _numbers(loaded_from)} if loaded_from else {}),
        "scale": graph.get("input_scale"),
        "fold": _numbers(fold) if fold else [1, 1],
        "format": "CHW" if graph.get("input_chw") else "HWC",
        "processors": f"{processors:#018x}" if isinstance(processors, int) else None,
        "parts": graph.get("input_parts"),
        "fifos": [fifo for push in program.pushes for fifo in push.fifos],
        "fast": any(push.fast for push in program.pushes),
        "blocks": [[input_number(program, load), program.address(load)] for load in program.loads],
    }


def _numbers(value: object) -> list[int]:
    return [int(v) for v in value] if isinstance(value, tuple) else []


def _network(program: Program) -> dict[str, object]:
    """Return the interface; `unload` only where other data than the outputs are copied."""
    scales = program.graph.get("output_scales")
    known = scales if isinstance(scales, tuple) else (0.0,) * len(program.outputs)
    outputs = [_output(op, scale) for op, scale in zip(program.outputs, known, strict=True)]
    interface: dict[str, object] = {"input": _input(program), "outputs": outputs}
    if program.unloads != program.outputs:
        interface["unload"] = [_output(op, 0.0) for op in program.unloads]
    return interface


def _output(unload: Unload, scale: float) -> dict[str, object]:
    return {
        "name": unload.output,
        "shape": [unload.channels, unload.rows, unload.columns],
        "bits": 32 if unload.wide else 8,
        "scale": scale,
        "processors": f"{unload.processors:#018x}",
        "offset": unload.offset,
        "gap": unload.gap,
    }


def _memory(project: CProject) -> dict[str, int]:
    program, device = project.program, project.device
    columns = sum(len(kernels.data.array) for kernels in program.kernels)
    return {
        "weight_bytes": columns * device.kernel_bytes_per_column,
        "weight_bytes_available": device.kernel_bytes,
        "bias_bytes": sum(len(biases.data.array) for biases in program.biases),
        "bias_bytes_available": device.bias_bytes,
    }
