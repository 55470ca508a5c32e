"""Hand-written C that the generated projects contain."""
