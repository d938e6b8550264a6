"""Formats numbers and names for reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNDEFINED = "not finite"
NOTHING = "\N{EN DASH}"  # where a value does not exist
_PERCENT = "\N{NO-BREAK SPACE}%"


def percent(share: float, digits: int = 2) -> str:
    """Formats a share in [0, 1] as `"90.64 %"`, without a line break inside."""
    return f"{100 * share:.{digits}f}{_PERCENT}" if math.isfinite(share) else UNDEFINED


def probability(share: float) -> str:
    """Formats a probability as `"98.7 %"`, or `">99.9 %"` where it would round up to 1."""
    return f">99.9{_PERCENT}" if 0.9995 <= share < 1 else percent(share, 1)


def decimal(value: float, digits: int = 4) -> str:
    """Formats a loss as `"0.2670"`, a large one with an exponent."""
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.3g}"


def count(value: float) -> str:
    """Formats a count or a rate as `"390,410"`."""
    return f"{value:,.0f}" if math.isfinite(value) else UNDEFINED


def duration(seconds: float) -> str:
    """Formats seconds as `"4.2 s"`, `"3 min 20 s"` or `"2 h 5 min"`."""
    if not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def points(share: float, digits: int = 2) -> str:
    """Formats a difference of shares in percentage points: 0.0031 as `"0.31"`."""
    if not math.isfinite(share):
        return NOTHING
    text = f"{100 * share:.{digits}f}"
    # Not "-0.00".
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.lstrip("-")


def points_between(value: float, low: float, high: float) -> str:
    """Formats an estimate and its interval in points, `"0.31 [0.18, 0.44]"`, without an interval that is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return points(value)
    return f"{points(value)} [{points(low)}, {points(high)}]"


def p_value(p: float) -> str:
    """Formats a p-value as `"0.031"`, a small one as `"<0.001"`."""
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.995 else "1"


def setting(value: float | str) -> str:
    """Formats a hyperparameter in its shortest form: `"0.001"`, `"2.5e-4"`; a duration is as it was given."""
    if isinstance(value, str):
        return value
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def listed(names: Sequence[str]) -> str:
    """Formats names as `"a, b and c"`, with semicolons where a name contains a comma."""
    comma = "; " if any("," in name for name in names) else ", "
    return " and ".join(filter(None, [comma.join(names[:-1]), *names[-1:]]))


def counted(number: int, noun: str) -> str:
    """Formats `"1 seed"`, `"3 seeds"`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
