"""The MAX78002: 64 processors, 128 layers, pipeline."""
