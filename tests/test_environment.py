from __future__ import annotations

import resource

import pytest

from fmnist_jax.errors import ConfigError
from fmnist_jax.runtime import environment

INFINITY = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits of open files that have been set, the last one in force."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: found.append(limits))
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((12, INFINITY), (1024, INFINITY)),
        ((12, 10**6), (1024, 10**6)),
        ((12, 100), (100, 100)),
        ((256, 256), (256, 256)),
        ((64, INFINITY), (64, INFINITY)),
        ((INFINITY, INFINITY), (INFINITY, INFINITY)),
    ],
)
def test_a_low_limit_of_open_files_is_raised_as_far_as_it_may_be(limits, given, expected):
    limits.append(given)
    environment.check()
    assert limits[-1] == expected


def test_a_limit_of_open_files_that_cannot_be_raised_is_an_error(limits):
    limits.append((12, 12))
    with pytest.raises(ConfigError, match=r"may open 12 files at once, and needs 64; .* ulimit -n 1024"):
        environment.check()
