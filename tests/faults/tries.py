"""How often each fault is tried: FAULTS_SCALE times the number in docs/reliability.md, with the seed FAULTS_SEED."""

from __future__ import annotations

import math
import os

SEED = int(os.environ.get("FAULTS_SEED", "0"))
_SCALE = float(os.environ.get("FAULTS_SCALE", "0.01"))


def tries(full: int) -> int:
    """Returns the scaled number, at least 1."""
    return max(1, math.ceil(full * _SCALE))
