"""Random networks and random files."""
