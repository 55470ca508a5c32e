"""The MAX78000: 64 processors, 32 layers."""
