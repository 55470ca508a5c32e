"""Register programs of the vendor vectors, lowered by us, for tests of generated C."""

from functools import cache

import golden_corpus
import numpy as np
from golden_network import case_device, case_graph

from ai8xc.backends.ai8x.lower_to_reg import LowerToReg
from ai8xc.dialects.reg import Program
from ai8xc.ir.passes import PassContext, run_pipeline
from ai8xc.ir.prove import real_sample
from ai8xc.passes.allocate_biases import AllocateBiases
from ai8xc.passes.allocate_kernels import AllocateKernels
from ai8xc.passes.hardware.sample import Sample


@cache
def program(device, name):
    """The program of a vector by device (`MAX78000`) and name."""
    found = [e for e in golden_corpus.entries() if (e.device, e.name) == (device, name)]
    golden = golden_corpus.Program(found[0].path)
    case, arrays = golden.meta, golden.arrays
    root, inputs = golden_corpus.golden_folder(), case.get("inputs", {})
    text = (root / inputs["yaml"]).read_text() if "yaml" in inputs else ""
    stored = arrays["input"].astype(np.int8)
    given = stored.reshape(1, *stored.shape, *[1] * (3 - stored.ndim))
    ctx = PassContext(case_device(case), Sample((real_sample(given),)))
    passes = [AllocateKernels(), AllocateBiases(), LowerToReg()]
    return Program.of(run_pipeline(case_graph(case, arrays, text), passes, ctx))
