"""A register-accurate emulator of the accelerators, independent of the compiler."""

from ai8xc.backends.emulator.emulator import Emulator
from ai8xc.backends.emulator.findings import Finding, FindingError
from ai8xc.backends.emulator.trace import Area, LayerTrace

__all__ = ["Area", "Emulator", "Finding", "FindingError", "LayerTrace"]
