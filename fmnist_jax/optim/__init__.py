"""The registry of optimizers, their update rules, and learning-rate schedules."""
