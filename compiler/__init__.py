"""ai8xc: a compiler from trained networks to MAX78000 and MAX78002 firmware."""

__version__ = "0.1.0"
