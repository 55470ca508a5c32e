"""What is not known at start-up: dialects, passes of ours and of the user, found and imported."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from ai8xc.ir.diag import Rejected, declare
from ai8xc.ir.loc import Loc

BROKEN_PLUGIN = declare(
    "IR053",
    "`{name}` cannot be loaded: {why}",
    """A file given by `--load`, or a module named by an entry point of the group `ai8xc.passes` or
    `ai8xc.backends`, is a Python module that registers passes or backends when it is imported.""",
)


def load_dialects() -> None:
    """Import every dialect, so that text can name its ops."""
    import_all("ai8xc.dialects")


def load_passes(files: Iterable[Path] = ()) -> None:
    """Import every pass: the package's, those of installed plug-ins, then `files`."""
    load_dialects()
    import_all("ai8xc.passes")
    load_entry_points("ai8xc.passes")
    for path in files:
        load_file(path)


def load_backends(files: Iterable[Path] = ()) -> None:
    """Import every backend: `ai8xc.backends.<device>.backend`, those of plug-ins, then `files`."""
    folder = importlib.import_module("ai8xc.backends")
    for path in sorted(Path(root) for root in folder.__path__):
        for module in sorted(path.glob("*/backend.py")):
            importlib.import_module(f"ai8xc.backends.{module.parent.name}.backend")
    load_entry_points("ai8xc.backends")
    for path in files:
        load_file(path)


def load_rules() -> None:
    """Import every module of ours that declares rules."""
    load_passes()
    load_backends()
    for name in ("driver", "evaluate", "files", "reducer", "training.qat_rules", "training.rules"):
        importlib.import_module(f"ai8xc.{name}")
    packages = ("backends.firmware", "frontend", "grammar", "ir", "rules")
    for package in packages:
        import_all(f"ai8xc.{package}", optional=("torch", "onnxruntime"))


def import_all(package: str, optional: Sequence[str] = ()) -> None:
    """Import a package and the modules in it, except those that need an absent `optional` one."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__, f"{package}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in optional:
                raise


def load_entry_points(group: str) -> None:
    """Import what installed distributions offer in an entry-point group."""
    for entry in entry_points(group=group):
        try:
            entry.load()
        except Exception as error:
            raise _broken(entry.name, error) from error


def load_file(path: Path) -> None:
    """Import a user's Python file."""
    if not path.is_file():
        raise _broken(path.name, FileNotFoundError("there is no such file"))
    spec = importlib.util.spec_from_file_location(f"ai8xc_loaded_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise _broken(path.name, ImportError("it is not a Python file"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise _broken(path.name, error) from error


def _broken(name: str, error: BaseException) -> Rejected:
    why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Rejected([BROKEN_PLUGIN.at(Loc(name), name=name, why=why)], unusable=True)
