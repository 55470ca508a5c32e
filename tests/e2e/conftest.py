"""Summaries of the golden programs by feature and device: one for each test that uses them."""

from collections import Counter, defaultdict

DEVICES = ("MAX78000", "MAX78002")
# property of a test, title, what the programs are called that are listed as different
SECTIONS = (
    ("golden", "golden programs on the emulator", "defect"),
    ("registers", "golden networks lowered by us", "listed"),
    ("firmware", "golden networks as compiled C", "listed"),
    ("vendor", "vendor descriptions through `ai8xc compile`: deliberately other", "other"),
    ("refused", "what the vendor's tool refuses: not offered, or accepted with a reason", "other"),
    ("replaced", "vendor networks placed anew: not placed, with a reason", "not"),
)


def pytest_terminal_summary(terminalreporter):
    for key, title, listed in SECTIONS:
        rows = found_rows(terminalreporter, key, listed)
        if rows:
            terminalreporter.section(title)
            write_table(terminalreporter, rows, listed)


def found_rows(terminalreporter, key, listed):
    """Count the results of one kind of test by feature."""
    rows = defaultdict(Counter)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            found = dict(getattr(report, "user_properties", ())).get(key)
            if report.when == "call" and found:
                device, features, different = found
                result = "failing" if outcome == "failed" else listed if different else "equal"
                for feature in (*features, "all programs"):
                    rows[feature].update([(device, "cases"), (device, result)])
    return rows


def write_table(terminalreporter, rows, listed):
    head = "".join(f" | {d:^36}" for d in DEVICES)
    terminalreporter.line(f"{'feature':24}{head}")
    for feature in sorted(rows, key=lambda f: (f == "all programs", f)):
        cells = "".join(
            " | " + " ".join(f"{rows[feature][d, k]:4} {k:7}" for k in ("cases", "equal", listed))
            + (f" {rows[feature][d, 'failing']} FAILING" if rows[feature][d, "failing"] else "")
            for d in DEVICES
        )  # fmt: skip
        terminalreporter.line(f"{feature:24}{cells}")
