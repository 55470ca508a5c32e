"""What becomes of a changed description: proven, refused with diagnostics, or a finding."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from random import Random

from click.testing import CliRunner

from ai8xc.backends.firmware.run import run_project
from ai8xc.cli.main import cli
from ai8xc.ir.diag import Rejected
from fuzz.described_networks import Mutant
from fuzz.verdict import Verdict

WISHES = {"--overlap-data", "--repeat-layers", "--override-start", "--increase-start"}
"""Options whose user answers for what the emulator's sanitizer reports."""

SIMULATED = "simulated_sequence"
"""The key of a layer whose user says where a snooper leads, which other data need not do."""


def judged(made: Mutant, random: Random, folder: Path, engines: tuple[str, ...]) -> Verdict:
    """Compile a network by its files; what is accepted must pass on each of the engines."""
    arguments = made.write(random, folder)
    more = ["-o", str(folder / "out"), "--force", "--emit", "c,registers", "--format", "json"]
    result = CliRunner().invoke(cli, [*arguments, *more])
    if result.exception and not isinstance(result.exception, SystemExit):
        return _crashed(result.exception)
    if result.exit_code:
        return _refused(result.exit_code, result.stderr)
    try:
        return _ran(made, folder, engines)
    except Exception as error:  # the emulator must run what the compiler accepts
        return _crashed(error)


def _crashed(error: BaseException) -> Verdict:
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return Verdict("broken", (), f"traceback: {error!r} at {where}")


def _refused(code: int, text: str) -> Verdict:
    """A refusal leaves with 1 or 2 and names rules."""
    if code not in (1, 2):
        return Verdict("broken", (), f"exit code {code}: {text[-300:]}")
    if not text.startswith("{"):
        usage = "Usage:" in text and "Error:" in text
        return Verdict("refused" if usage else "broken", (), text[-300:])
    found = [d for d in json.loads(text)["diagnostics"] if d["severity"] == "error"]
    if not found:
        return Verdict("broken", (), f"exit code {code} without an error")
    rules = tuple(sorted({d["rule"] for d in found}))
    return Verdict("refused", rules, "; ".join(f"{d['location']}: {d['message']}" for d in found))


def _ran(made: Mutant, folder: Path, engines: tuple[str, ...]) -> Verdict:
    """The known answer of the interpreter is that of the registers, and of the firmware."""
    for engine in engines:
        try:
            report = run_project(folder / "out", engine)  # type: ignore[arg-type] # one of the two
        except Rejected as rejected:
            if "more than the chip has" in str(rejected):
                continue
            return Verdict("broken", (), f"{engine}: {rejected}")
        if report.difference and any(SIMULATED in layer for layer in made.layers):
            continue
        if not report.passed and not (WISHES & set(made.flags) and report.difference is None):
            why = report.failure or report.difference or [str(f) for f in report.findings]
            return Verdict("broken", (), f"{engine}: {why}")
        if report.findings and not WISHES & set(made.flags):
            return Verdict("broken", (), f"{engine}: {[str(f) for f in report.findings]}")
    return Verdict("proven")
