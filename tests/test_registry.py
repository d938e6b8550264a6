from __future__ import annotations

import pytest

from fmnist_jax.config.registry import Registry
from fmnist_jax.errors import ConfigError


@pytest.fixture
def numbers() -> Registry[int]:
    """A registry whose built-in entries are `one` and `two`."""
    registry: Registry[int] = Registry("a number", "config.number.name")
    registry.register("one", 1)
    registry.register("two", 2)
    registry.protect()
    return registry


def test_entries_are_found_by_name_in_the_order_of_registration(numbers):
    numbers.register("three", 3)
    assert numbers.names() == ("one", "two", "three")
    assert numbers.get("three") == 3
    assert [numbers.is_built_in(name) for name in ("one", "three", "four")] == [True, False, False]


def test_a_built_in_name_is_protected(numbers):
    with pytest.raises(ValueError, match="a number is registered as 'one' already, and built in; choose another name"):
        numbers.register("one", 10)
    assert numbers.get("one") == 1


def test_a_users_own_entry_may_be_replaced(numbers):
    numbers.register("three", 3)
    numbers.register("three", 30)
    assert numbers.get("three") == 30
    assert numbers.names() == ("one", "two", "three")


def test_a_name_is_refused_where_nothing_is_registered():
    empty: Registry[int] = Registry("a number", "config.number.name")
    with pytest.raises(ConfigError, match=r"^config\.number\.name names 'one', but nothing is registered for it$"):
        empty.get("one")


def test_an_unknown_name_is_refused_with_the_nearest(numbers):
    with pytest.raises(
        ConfigError, match=r"^config\.number\.name must be one of one, two, not 'twoo'; did you mean 'two'\?$"
    ):
        numbers.get("twoo")
    with pytest.raises(ConfigError, match=r"^config\.study\.numbers must be one of one, two, not 'nine'"):
        numbers.get("nine", "config.study.numbers")
