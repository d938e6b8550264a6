"""Records: runs registered by a commit and timed to a target accuracy, pilots, and the ledger of every test score.

docs/records/README.md has the rules.
"""
