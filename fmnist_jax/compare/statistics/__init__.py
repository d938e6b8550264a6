"""Statistics of a comparison over seeds, on numpy and scipy alone; docs/statistics has their measured error rates.

Scores are higher-is-better, one per run. The caller scores failed runs (here: chance accuracy); none is dropped.
"""
