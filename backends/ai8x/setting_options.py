"""Settings of a run by the options of the vendor's tool that ask for them."""

from __future__ import annotations

from typing import Final

FLAGS: Final[tuple[tuple[str, str, object], ...]] = (
    ("--fifo", "input_mode", "fifo"),
    ("--fast-fifo", "input_mode", "fast-fifo"),
    ("--fast-fifo-quad", "input_mode", "fast-fifo-quad"),
    ("--fifo-go", "fifo_go", True),
    ("--no-fifo-wait", "fifo_wait", False),
    ("--no-pipeline", "pipeline", False),
    ("--no-pll", "pll", False),
    ("--no-mexpress", "express", False),
    ("--powerdown", "power_down", True),
    ("--zero-sram", "zero_memories", True),
    ("--write-zero-registers", "write_zeros", True),
    ("--stop-start", "stop_start", True),
    ("--mlator", "mlator", True),
    ("--energy", "energy", True),
    ("--riscv", "riscv", True),
    ("--link-layer", "link_layers", True),
    ("--pll", "pll", True),
    ("--avg-pool-rounding", "average_rounding", True),
    ("--ext-rdy", "external_ready", True),
    ("--simple1b", "simple1b", True),
    ("--overlap-data", "overlap", True),
    ("--no-error-stop", "overlap", True),
    ("--one-shot", "one_shot", True),
)
"""The vendor's option, field of the settings, its value."""

NUMBERS: Final = (
    ("--repeat-layers", "repeat"),
    ("--override-start", "stream_start"),
    ("--override-delta1", "stream_delta1"),
    ("--override-delta2", "stream_delta2"),
    ("--override-rollover", "stream_rollover"),
    ("--increase-start", "stream_more_start"),
    ("--increase-delta1", "stream_more_delta1"),
    ("--increase-delta2", "stream_more_delta2"),
)
"""The vendor's option, field of the settings."""
