"""What the passes of the float level share: constants, affine maps, windows, axes, activations."""
