"""A register-accurate emulator of the accelerators, independent of the compiler."""
