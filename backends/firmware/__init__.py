"""Runs the generated firmware on an emulated Cortex-M4 with the accelerator emulator behind it."""
