"""Training runs on Lightning: configuration, tasks, checkpoints, evaluation."""
