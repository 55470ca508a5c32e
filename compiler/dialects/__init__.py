"""The op classes of the four levels."""
