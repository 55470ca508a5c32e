"""Layers as the hardware runs them: geometry, passes, and where kernels and biases lie."""
