"""Training: the pure heart (`run`), and around it the host loop, checkpoints, records and workdirs."""
