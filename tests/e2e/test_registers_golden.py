"""Vendor vectors: the resolved networks, lowered by us, give the vendor's programs word for word.

Compared are the register accesses of every function in content and order, kernels (also in the
packed form of the loader), biases, input, known answers, the unloaded words and the output of every
layer. The default run is a sample that covers every feature; `--golden-all` runs all.
"""

import hashlib

import golden_corpus
import numpy as np
import pytest
from golden_differences import DELIBERATE, REFUSED, kernel_words, listed
from golden_network import case_device, case_graph

from ai8xc.backends.ai8x.lower_to_reg import LowerToReg
from ai8xc.backends.ai8x.pack_weights import packed_list, plain_list
from ai8xc.backends.ai8x.unload import unload_words
from ai8xc.backends.emulator import Emulator
from ai8xc.dialects.reg import Modify, Program
from ai8xc.ir.diag import Rejected
from ai8xc.ir.interp import values
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.prove import real_sample
from ai8xc.ir.verify import verify
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.passes.hardware.sample import Sample


def always(entry):
    """Whether a program is in every sample: those that are listed."""
    return listed(entry.name, DELIBERATE) or listed(entry.name, REFUSED)


def pytest_generate_tests(metafunc):
    golden_corpus.give_entries(metafunc, lambda: golden_corpus.cheapest(always))


class Built:
    """A vector lowered by us."""

    def __init__(self, golden):
        case, arrays = golden.meta, golden.arrays
        self.device = case_device(case)
        stored = arrays["input"].astype(np.int8)
        self.input = stored.reshape(1, *stored.shape, *[1] * (3 - stored.ndim))
        text = description(case)
        ctx = PassContext(self.device, Sample((real_sample(self.input),)))
        self.graph = run_pipeline(case_graph(case, arrays, text), pipeline(case["flags"]), ctx)
        lowered = LowerToReg().run(self.graph, ctx)
        self.findings = verify(self.graph) + verify(lowered)
        self.program = self.answer = Program.of(lowered)
        self.answering = self.graph
        if any(layer["simulated_next"] is not None for layer in case["layers"]):
            run = case_graph(case, arrays, text, simulated=True)
            self.answering = run_pipeline(run, pipeline(case["flags"]), ctx)
            self.answer = Program.of(LowerToReg().run(self.answering, ctx))

    def outputs(self):
        """Every layer of the run with its value, by number."""
        given = self.answering.inputs[0]
        for op, value in values(self.answering, {given.name: self.input}):
            if op.name.startswith("layer"):
                yield int(op.name.removeprefix("layer")), op, value[0]


def description(case):
    """The text of the vendor's network description, empty where it is not stored."""
    root, inputs = golden_corpus.golden_folder(), case.get("inputs", {})
    return (root / inputs["yaml"]).read_text() if "yaml" in inputs else ""


def pipeline(flags):
    """The allocation that the options ask for."""
    start = int(flags[flags.index("--weight-start") + 1], 0) if "--weight-start" in flags else 0
    shared = "--no-deduplicate-weights" not in flags
    return [AllocateKernels(start=start, deduplicate=shared), AllocateBiases()]


def differences(golden, built):
    """The parts of a program that are not the vendor's."""
    arrays, case, program = golden.arrays, golden.meta, built.program
    found = {name for name in case["phases"] if golden.phase(name) != accesses(program, name)}
    found |= {name for name, same in memories(arrays, program, built.answer) if not same}
    recorded = {name for name, *_ in case["misc_ops"]}  # without the handler of the RISC-V core
    if [op for op in modifications(program) if op[0] in recorded] != case["misc_ops"]:
        found.add("handlers")
    if "kern_bytes" in arrays and "packed_sha256" in case["kernel_memory"]:
        plain = case["kernel_memory"]["packed_format"] == "plain"
        words = (plain_list if plain else packed_list)(program).astype("<u4")
        digest = hashlib.sha256(words.tobytes()).hexdigest()
        if digest != case["kernel_memory"]["packed_sha256"]:
            found.add("packed kernels")
    found |= set(wrong_values(arrays, case, built))
    return found


def accesses(program, name):
    """The accesses of a function as the vectors have them."""
    kinds = {"write": 0, "poll": 1, "check": 2}
    return [(a.address, a.value, a.mask, kinds[a.kind]) for a in program.function(name).accesses]


def modifications(program):
    """The read-modify-write accesses as the vectors have them."""
    found = []
    for function in program.functions:
        for a in function.accesses:
            if isinstance(a.op, Modify):
                operator, value = ("|=", a.value) if a.value else ("&=", a.mask ^ (1 << 32) - 1)
                found.append([function.name, a.address, operator, value])
    return found


def memories(arrays, program, answer):
    """Names of the memory images, and whether they are the vendor's."""
    yield "kernels", equal(program.kernel_words(), kernel_words(arrays))
    yield "biases", equal(program.bias_words(), [arrays["bias_addr"], arrays["bias_val"]])
    if program.pushes:
        pushed = [arrays[f"fifo_{fifo}"] for fifo in program.pushes[0].fifos]
        yield "input", np.array_equal(program.pushes[0].data.array, np.stack(pushed, axis=1))
        yield "fifos", len(pushed) == sum(name.startswith("fifo_") for name in arrays)
    else:
        yield "input", equal(program.input_words(), [arrays["input_addr"], arrays["input_val"]])
    address, mask, value = answer.expected_words()
    order = np.argsort(address, kind="stable")
    ours = [address[order], mask[order], value[order]]
    yield "answer", equal(ours, [arrays["kat_addr"], arrays["kat_mask"], arrays["kat_val"]])


def equal(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def wrong_values(arrays, case, built):
    """Layers whose values are not the vendor's, and the outputs as they are unloaded."""
    outputs = {}
    for number, op, value in built.outputs():
        theirs = arrays.get(f"out_{number}")
        if theirs is not None and not np.array_equal(value.reshape(theirs.shape), theirs):
            yield f"layer {number}"
        if op in built.answering.outputs:
            outputs[number] = value
    key = "unload_words_chw" if "unload_words_chw" in arrays else "unload_words"
    if key in arrays and not case["unload_custom"]:
        ours = unload_words([outputs[number] for number in sorted(outputs)])
        if not np.array_equal(ours, arrays[key]):
            yield "unload"
    if not outputs_are_read(built, outputs):
        yield "output places"


def outputs_are_read(built, outputs):
    """Whether the unload ops find the outputs in the expected words."""
    program = built.answer
    address, _, value = program.expected_words()
    memory = dict(zip(address.tolist(), value.tolist(), strict=True))
    read = [program.read_output(unload, memory.__getitem__) for unload in program.unloads]
    return all(map(np.array_equal, read, (outputs[number] for number in sorted(outputs))))


def test_same_program(entry, record_property):
    golden = golden_corpus.Program(entry.path)
    deliberate, refused = listed(entry.name, DELIBERATE), listed(entry.name, REFUSED)
    row = refused or deliberate
    record_property(
        "registers", (entry.device, entry.features, "listed" if row else "equal", row and row[-1])
    )
    if refused:
        with pytest.raises(Rejected):
            Built(golden)
        return
    built = Built(golden)
    assert built.findings == []
    found = differences(golden, built)
    assert found == (deliberate[1] if deliberate else set())
    if "kernels" in found:
        assert wrong_on_emulator(built.program) == 0


def wrong_on_emulator(program):
    """How many words of the known answer our own program does not give on the emulator."""
    emulator = Emulator(program.device)
    run(program, emulator, ("cnn_init",))
    stride = golden_corpus.KERNEL_STRIDE[program.device.upper()]
    for kernels in program.kernels:
        address = program.address(kernels)
        golden_corpus.write_packed(emulator, address, kernels.data.array, stride)
    write(emulator, program.bias_words())
    run(program, emulator, ("cnn_configure",))
    if not program.pushes:
        write(emulator, program.input_words())
    run(program, emulator, ("cnn_start",))
    if program.pushes:
        write(emulator, program.input_words())
    assert emulator.idle
    words = zip(*(column.tolist() for column in program.expected_words()), strict=True)
    return sum(emulator.read(address) & mask != value for address, mask, value in words)


def run(program, emulator, names):
    """Execute the accesses of functions."""
    for name in names:
        golden_corpus.access(accesses(program, name), emulator)


def write(emulator, words):
    """Write words in order."""
    for address, value in zip(*(column.tolist() for column in words), strict=True):
        emulator.write(address, value)
