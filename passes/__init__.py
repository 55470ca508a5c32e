"""The compiler passes, one per file."""
