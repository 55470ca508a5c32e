"""ai8xc: a compiler from trained networks to MAX78000 and MAX78002 firmware."""
