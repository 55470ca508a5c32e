"""Text to ops and pipelines."""
