"""Training: the core API (`run`), the loop that drives epochs, executors, checkpoints and workdirs."""
