"""Collects the text tests: `golden/**/*.ir` and `errors/**/*.ir`.

Line 1 is the command (`// RUN: ai8xc opt ...`, applied to the file itself, from the root of the
project). `CHECK` comments are matched with filecheck against what it prints. An expected finding
stands on the line that causes it: `// error: IR023 not defined`; line 1 takes those without line.
"""

import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser
from hypothesis import settings

TESTS = Path(__file__).parent
settings.register_profile("ci", derandomize=True)  # the same examples in every run
if os.environ.get("CI"):
    settings.load_profile("ci")
TEXT_FOLDERS = (TESTS / "golden", TESTS / "errors")
RUN = "// RUN: ai8xc "
CHECK = re.compile(r"^\s*// CHECK(-[A-Z]+)?(\{.*\})?:", re.MULTILINE)
EXPECTED = re.compile(r"// (error|warning|note): (\S+) ?(.*?)(?=\s*// (?:error|warning|note): |$)")
LINE = re.compile(r"^[^:`]*:(\d+)(?::\d+)?(?:: |$)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-all",
        action="store_true",
        help="run every register program of the golden folder, not a sample",
    )
    parser.addoption(
        "--third-party",
        action="store_true",
        help="look at all networks of others, some of them from the package index",
    )


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    is_text = file_path.suffix == ".ir" and any(f in file_path.parents for f in TEXT_FOLDERS)
    return TextFile.from_parent(parent, path=file_path) if is_text else None


class Finding(NamedTuple):
    """A finding that is expected (`text` is a part of the message) or that was reported."""

    line: int
    severity: str
    rule: str
    text: str

    def fits(self, reported: "Finding") -> bool:
        return self[:3] == reported[:3] and self.text in reported.text

    def __str__(self) -> str:
        return f"line {self.line}: {self.severity}: {self.rule} {self.text}"


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, everything printed, findings."""

    code: int
    printed: str
    reported: list[Finding]


class TextTestError(AssertionError):
    """A text test does not show what it says."""


class TextFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        yield TextTest.from_parent(self, name=self.path.stem)


class TextTest(pytest.Item):
    """One `.ir` file."""

    def runtest(self) -> None:
        check_text_test(self.path)

    def repr_failure(  # type: ignore[override] # pytest takes anything printable
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> object:
        if isinstance(excinfo.value, TextTestError):
            return str(excinfo.value)
        return excinfo.getrepr(style="short")

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def check_text_test(path: Path) -> None:
    """Run a text test; raises `TextTestError` where it does not show what it says."""
    text = path.read_text()
    wanted = expected_findings(text)
    checks = CHECK.search(text)
    if not checks and not wanted:
        raise TextTestError("the file has neither a CHECK line nor an expected finding")
    outcome = run_command(path, text.partition("\n")[0])
    compare(wanted, outcome)
    if checks:
        match(path, outcome.printed)


def expected_findings(text: str) -> list[Finding]:
    return [
        Finding(number, *found)
        for number, line in enumerate(text.splitlines(), 1)
        for found in EXPECTED.findall(line)
    ]


def run_command(path: Path, first: str) -> Outcome:
    from ai8xc.cli.main import cli

    if not first.startswith(RUN):
        raise TextTestError(f"line 1 must start with `{RUN}`")
    arguments = shlex.split(first.removeprefix(RUN).partition("// ")[0])
    before = Path.cwd()
    os.chdir(TESTS.parent)
    try:
        result = CliRunner().invoke(cli, [*arguments, str(path), "--format", "json"])
    finally:
        os.chdir(before)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    *rest, last = result.stderr.splitlines() or [""]
    if not last.startswith('{"device"'):
        raise TextTestError(f"exit code {result.exit_code}\n{result.output}")
    reported = [reported_finding(found) for found in json.loads(last)["diagnostics"]]
    return Outcome(result.exit_code, result.stdout + "\n".join(rest), reported)


def reported_finding(found: dict[str, str]) -> Finding:
    place = LINE.match(found["location"])
    line = int(place[1]) if place else 1
    return Finding(line, found["severity"], found["rule"], found["message"])


def compare(wanted: list[Finding], outcome: Outcome) -> None:
    """Findings must be those expected; warnings and notes only where the file has any."""
    counted = {"error"} | {finding.severity for finding in wanted}
    open_ = [finding for finding in outcome.reported if finding.severity in counted]
    missing = []
    for finding in wanted:
        fitting = next((other for other in open_ if finding.fits(other)), None)
        if fitting is None:
            missing.append(finding)
        else:
            open_.remove(fitting)
    lines = [f"missing:    {finding}" for finding in missing]
    lines += [f"unexpected: {finding}" for finding in open_]
    fails = any(finding.severity == "error" for finding in wanted)
    if not lines and (outcome.code != 0) != fails:
        lines.append(f"exit code {outcome.code}")
    if lines:
        raise TextTestError("\n".join(lines))


def match(path: Path, printed: str) -> None:
    options = Options(str(path))
    told = io.StringIO()
    matcher = Matcher(options, FInput(str(path), printed), Parser.from_opts(options))
    matcher.stderr = told
    if matcher.run():
        raise TextTestError(f"{told.getvalue()}\nprinted:\n{printed}")
