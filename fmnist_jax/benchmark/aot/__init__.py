"""Compiles a run's programs for accelerators that are not there: compile time, arithmetic, memory, roofline."""
