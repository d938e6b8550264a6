"""The report of one run, and of an evaluation in it."""
