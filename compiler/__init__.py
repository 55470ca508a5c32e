"""ai8xc: a compiler from trained networks to MAX78000 and MAX78002 firmware.

`compile` and `check` are the driver's, imported when they are asked for: `import ai8xc` is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai8xc.driver import Result, check, compile
    from ai8xc.ir.diag import Diagnostic, Rejected

__version__ = "0.1.0"
__all__ = ["Diagnostic", "Rejected", "Result", "__version__", "check", "compile"]


def __getattr__(name: str) -> object:
    """Import a public name."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module `ai8xc` has no attribute `{name}`")
    module = "ai8xc.ir.diag" if name in ("Diagnostic", "Rejected") else "ai8xc.driver"
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value
