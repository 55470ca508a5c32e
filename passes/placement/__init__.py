"""Placement: where tensors, kernels and biases lie; three solvers behind one small interface."""
