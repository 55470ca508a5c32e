"""The register level: one op is one access to a register, or one image of a memory.

The order of the ops is the order of execution; `function` names the function of the generated
program that an op belongs to. `Program` is the plain view with addresses, for emitters.
"""

from ai8xc.dialects.reg.ops import (
    CHECK,
    UNLOAD,
    Biases,
    Check,
    Expect,
    Kernels,
    Load,
    Modify,
    Poll,
    Push,
    Unload,
    Write,
)
from ai8xc.dialects.reg.program import Access, Function, Program

__all__ = [
    "CHECK",
    "UNLOAD",
    "Access",
    "Biases",
    "Check",
    "Expect",
    "Function",
    "Kernels",
    "Load",
    "Modify",
    "Poll",
    "Program",
    "Push",
    "Unload",
    "Write",
]
