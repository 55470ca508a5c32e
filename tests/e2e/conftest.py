"""Summaries of the vendor's vectors by device: one table for each test that uses them."""

from collections import Counter, defaultdict

DEVICES = ("MAX78000", "MAX78002")
# property of a test, title, what becomes of the programs
SECTIONS = (
    ("golden", "golden programs on the emulator", ("equal", "defect")),
    ("registers", "golden networks lowered by us", ("equal", "listed")),
    (
        "vendor",
        "vendor networks, compiled and run as firmware: what the vendor's tool accepts",
        ("identical", "deliberate", "obsolete"),
    ),
    (
        "refused",
        "vendor networks: what the vendor's tool refuses",
        ("same cause", "deliberate", "obsolete"),
    ),
    ("described", "our networks as descriptions, read back", ("same", "refused")),
    ("replaced", "vendor networks placed anew", ("equal", "not placed")),
)
"""`defect`, `deliberate`, `obsolete` and the like come with a reason, which is printed, too."""


def pytest_terminal_summary(terminalreporter):
    for key, title, kinds in SECTIONS:
        rows, reasons = found_rows(terminalreporter, key)
        if rows:
            terminalreporter.section(title)
            write_table(terminalreporter, rows, kinds)
            for (kind, why), count in sorted(reasons.items()):
                terminalreporter.line(f"{kind}, {count}: {why}")


def found_rows(terminalreporter, key):
    """Count the results of one kind of test by feature, and the reasons for differences."""
    rows, reasons = defaultdict(Counter), Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            found = dict(getattr(report, "user_properties", ())).get(key)
            if report.when == "call" and found:
                device, features, kind, why = found
                result = "failing" if outcome == "failed" else kind
                for feature in (*features, "all programs"):
                    rows[feature].update([(device, "cases"), (device, result)])
                if why and outcome == "passed":
                    reasons[kind, why] += 1
    return rows, reasons


def write_table(terminalreporter, rows, kinds):
    columns = ("cases", *kinds, "failing")
    widths = [max(5, len(column)) for column in columns]
    heads = " ".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))
    terminalreporter.line(f"{'':24}" + "".join(f" | {d:^{len(heads)}}" for d in DEVICES))
    terminalreporter.line(f"{'feature':24}" + f" | {heads}" * len(DEVICES))
    for feature in sorted(rows, key=lambda f: (f == "all programs", f)):
        cells = (
            " ".join(
                f"{rows[feature][device, column]:{width}}"
                for column, width in zip(columns, widths, strict=True)
            )
            for device in DEVICES
        )
        terminalreporter.line(f"{feature:24}" + "".join(f" | {cell}" for cell in cells))
