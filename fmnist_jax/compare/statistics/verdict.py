"""Which arms are better than which, and which cannot be told apart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple


class Verdict(NamedTuple):
    """What the tests of all pairs say together. Arms stand in the order of their scores, best first.

    **Attributes:**

    - `best`: the arms that no other beats; of them none beats another, so they are indistinguishable.
    - `groups`: every largest set of arms of which none beats another, the best arms' first. Groups may overlap: being
      indistinguishable does not carry over from one pair to the next.
    - `beats`: for each arm the arms that it beats.
    """

    best: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    beats: Mapping[str, tuple[str, ...]]


def judge(arms: Sequence[str], beats: Collection[tuple[str, str]]) -> Verdict:
    """Returns the verdict over arms in the order of their scores, best first.

    `beats` holds the pairs `(winner, loser)` whose difference is significant.

    **Raises:** `ValueError` where a pair is not of two arms of which the winner comes first.
    """
    places = {arm: place for place, arm in enumerate(arms)}
    for winner, loser in beats:
        if not places.get(winner, len(arms)) < places.get(loser, -1):
            raise ValueError(f"{winner} cannot beat {loser}: the arms in order are {', '.join(arms)}")
    losers = {loser for _, loser in beats}
    alike = {
        arm: {other for other in arms if other != arm and not {(arm, other), (other, arm)} & {*beats}} for arm in arms
    }
    groups = sorted(sorted(places[arm] for arm in group) for group in _cliques(set(), set(arms), set(), alike))
    return Verdict(
        tuple(arm for arm in arms if arm not in losers),
        tuple(tuple(arms[place] for place in group) for group in groups),
        {arm: tuple(other for other in arms if (arm, other) in beats) for arm in arms},
    )


def _cliques(
    chosen: set[str], candidates: set[str], done: set[str], alike: Mapping[str, set[str]]
) -> Iterator[set[str]]:
    """Every largest set of arms that are all alike (Bron & Kerbosch 1973)."""
    if not candidates and not done:
        yield chosen
    for arm in sorted(candidates):
        yield from _cliques(chosen | {arm}, candidates & alike[arm], done & alike[arm], alike)
        candidates, done = candidates - {arm}, done | {arm}
