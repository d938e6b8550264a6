"""The optimizer study: search spaces, trials, final runs, statistics, analysis."""
