"""The shape of the project: who may import whom, what is packaged, what start-up costs."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]

GROUND = frozenset({"ir"})
BASE = GROUND | {"dialects", "device", "registers", "numerics"}
MIDDLE = BASE | {"grammar"}
MAY_IMPORT = {
    "ir": GROUND,
    "data_files": frozenset(),
    "device": BASE | {"data_files"},
    "registers": BASE | {"data_files"},
    "numerics": BASE,
    "dialects": BASE,
    "grammar": MIDDLE,
    "rules": BASE | {"rules"},
    "frontend": MIDDLE | {"frontend", "rules"},
    "checker": BASE | {"checker", "rules"},
    "passes": MIDDLE | {"passes", "checker", "rules"},
    "backends.emulator": GROUND | {"dialects.reg", "device", "registers", "backends.emulator"},
    "backends": MIDDLE | {"passes", "backends", "data_files", "rules"},
    "training": GROUND | {"numerics", "training"},
    "runtime_c": frozenset({"runtime_c"}),
}
"""What each part may import of `ai8xc`; the longest name that fits counts. Parts that are not
named (driver, cli and what stands beside them) are the roof and may import everything."""

ONLY_IN = {
    "torch": ("training", "frontend.torch_"),
    "onnx": ("frontend.onnx_",),
    "onnxruntime": ("frontend.onnx_runtime",),
    "lark": ("grammar",),
}
HEAVY = ("torch", "onnx", "onnxruntime", "networkx", "rich", "jsonschema", "unicorn", "elftools")
"""Modules that are imported inside the function that needs them."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield our modules by the name without `ai8xc.`, with their files."""
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        base, folder = package, ""
        while base not in FOLDERS:
            base, _, last = base.rpartition(".")
            folder = f"{last}/{folder}"
        for path in sorted((ROOT / FOLDERS[base] / folder).glob("*.py")):
            stem = "" if path.stem == "__init__" else f".{path.stem}"
            yield f"{package}{stem}".removeprefix("ai8xc").removeprefix("."), path


MODULES = list(modules())
WITHOUT_TORCH = [m for m in MODULES if not m[0].startswith(("training", "frontend.torch_"))]
"""Modules that are about something else than torch."""


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the modules that a syntax tree imports, with lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def part_of(module: str) -> str | None:
    parts = [part for part in MAY_IMPORT if within(module, part)]
    return max(parts, key=len, default=None)


def layering(module: str, tree: ast.AST) -> Iterator[str]:
    """Yield the imports of a module that its part may not have."""
    part = part_of(module)
    if part is None:
        return
    names = [name for name, _ in MODULES]
    for imported, line in imports(tree):
        name = imported.removeprefix("ai8xc.")
        if name == imported or not any(within(known, name) for known in names):
            continue
        if not any(within(name, allowed) for allowed in MAY_IMPORT[part]):
            is_package = any(known.startswith(f"{name}.") for known in names)
            if not is_package or not any(within(a, name) for a in MAY_IMPORT[part]):
                yield f"{module}:{line} imports {imported}"


@pytest.mark.parametrize(("module", "path"), MODULES, ids=str)
def test_layers(module: str, path: Path) -> None:
    assert not list(layering(module, ast.parse(path.read_text())))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ir.core", "from ai8xc.dialects import nn"),
        ("passes.x", "def f():\n    from ai8xc.frontend import checkpoint"),
        ("passes.x", "import ai8xc.backends.base"),
        ("checker", "from ai8xc.passes.placement import offsets"),
        ("frontend.x", "from ai8xc.passes.pipelines import PIPELINES"),
        ("backends.emulator.x", "from ai8xc import numerics"),
        ("backends.emulator.x", "from ai8xc.dialects import q"),
        ("training.x", "import ai8xc.dialects.q"),
        ("dialects.x", "from ai8xc import driver"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, source: str) -> None:
    assert list(layering(module, ast.parse(source)))


@pytest.mark.parametrize(("module", "path"), MODULES, ids=str)
def test_libraries_stay_at_their_border(module: str, path: Path) -> None:
    for imported, line in imports(ast.parse(path.read_text())):
        allowed = ONLY_IN.get(imported.partition(".")[0])
        assert allowed is None or module.startswith(allowed), f"{module}:{line} {imported}"


def at_module_level(tree: ast.Module) -> ast.Module:
    """Return the statements that run at import, without those for type checkers."""
    typing_only = {"TYPE_CHECKING"}
    body = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and ast.unparse(node.test) in typing_only)
    ]
    return ast.Module(body, [])


@pytest.mark.parametrize(("module", "path"), WITHOUT_TORCH, ids=str)
def test_heavy_libraries_are_imported_late(module: str, path: Path) -> None:
    tree = at_module_level(ast.parse(path.read_text()))
    found = [name for name, _ in imports(tree) if name.partition(".")[0] in HEAVY]
    assert not found


def test_every_folder_with_modules_is_a_package() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    found = set()
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            inner = ".".join(path.parent.relative_to(ROOT / folder).parts)
            found.add(f"{package}.{inner}".rstrip("."))
    assert found == listed


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys, json\nprint(json.dumps(list(sys.modules)))"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


START_UP = "import ai8xc"
HELP = """
import sys
sys.argv = ["ai8xc", "--help"]
from ai8xc.__main__ import main
try:
    main()
except SystemExit:
    pass
"""


@pytest.mark.parametrize("code", [START_UP, HELP], ids=["import", "help"])
def test_start_up_imports_little(code: str) -> None:
    slow = {*HEAVY, "numpy", "lark", "pydantic", "matplotlib", "sklearn", "scipy"}
    assert not slow & loaded(code)


def test_compiling_text_needs_no_framework() -> None:
    net = ROOT / "tests/golden/nn/verify_only.ir"
    code = f"import ai8xc\nai8xc.compile({str(net)!r}, emit=['ir'])"
    assert not {"torch", "onnx", "onnxruntime", "matplotlib"} & loaded(code)


def test_public_names() -> None:
    import ai8xc

    assert ai8xc.__version__ == PROJECT["project"]["version"]
    assert issubclass(ai8xc.Rejected, Exception)
    for name in ai8xc.__all__:
        assert getattr(ai8xc, name) is not None
    with pytest.raises(AttributeError):
        _ = ai8xc.no_such_name  # type: ignore[attr-defined]


def test_every_declared_rule_can_be_explained() -> None:
    declared = re.compile(r'(?:declare|described)\(\s*"([A-Z0-9-]+)"')
    ids = {id for _, path in MODULES for id in declared.findall(path.read_text())}
    code = "import ai8xc.plugins as p, ai8xc.ir.diag as d; p.load_rules(); print(*d.rules())"
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ids - set(known.stdout.split()) == set()


def test_every_declared_rule_is_used() -> None:
    texts = [path.read_text() for _, path in MODULES]
    declared = re.compile(r"^([A-Z][A-Z0-9_]*) = (?:declare|described)\(", re.MULTILINE)
    words = Counter(word for text in texts for word in re.findall(r"\b[A-Z][A-Z0-9_]*\b", text))
    assert [name for text in texts for name in declared.findall(text) if words[name] < 2] == []
