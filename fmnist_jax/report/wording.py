"""How numbers are written in reports: a percent sign, digits enough to compare, "not finite" for NaN."""

from __future__ import annotations

import math

UNDEFINED = "not finite"
_PERCENT = "\N{NO-BREAK SPACE}%"


def percent(share: float, digits: int = 2) -> str:
    """Writes a share in [0, 1] as `"90.64 %"`, which no line break parts."""
    return f"{100 * share:.{digits}f}{_PERCENT}" if math.isfinite(share) else UNDEFINED


def probability(share: float) -> str:
    """Writes a probability as `"98.7 %"`; one that would round up to certainty as `">99.9 %"`."""
    return f">99.9{_PERCENT}" if 0.9995 <= share < 1 else percent(share, 1)


def decimal(value: float, digits: int = 4) -> str:
    """Writes a loss as `"0.2670"`, a huge one in powers of ten."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.3g}"


def count(value: float) -> str:
    """Writes a count or a rate as `"390,410"`."""
    return f"{value:,.0f}" if math.isfinite(value) else UNDEFINED


def duration(seconds: float) -> str:
    """Writes seconds as `"4.2 s"`, `"3 min 20 s"` or `"2 h 5 min"`."""
    if not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
