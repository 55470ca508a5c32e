"""Devices: data, lowering, code generation and the emulator."""
