"""Layers and quantisation-aware training with the arithmetic of the device."""
