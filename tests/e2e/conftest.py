"""A summary of the golden programs by feature and device."""

from collections import Counter, defaultdict

DEVICES = ("MAX78000", "MAX78002")


def pytest_terminal_summary(terminalreporter):
    rows = defaultdict(Counter)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            found = dict(getattr(report, "user_properties", ())).get("golden")
            if report.when == "call" and found:
                device, features, defect = found
                result = "failing" if outcome == "failed" else "defect" if defect else "equal"
                for feature in (*features, "all programs"):
                    rows[feature].update([(device, "cases"), (device, result)])
    if not rows:
        return
    terminalreporter.section("golden programs")
    head = "".join(f" | {d:^36}" for d in DEVICES)
    terminalreporter.line(f"{'feature':24}{head}")
    for feature in sorted(rows, key=lambda f: (f == "all programs", f)):
        cells = "".join(
            " | " + " ".join(f"{rows[feature][d, k]:4} {k:7}" for k in ("cases", "equal", "defect"))
            + (f" {rows[feature][d, 'failing']} FAILING" if rows[feature][d, "failing"] else "")
            for d in DEVICES
        )  # fmt: skip
        terminalreporter.line(f"{feature:24}{cells}")
