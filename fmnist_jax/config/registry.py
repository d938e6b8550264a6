"""Entries by name that a user may add to: networks, optimizers."""

from __future__ import annotations

from typing import Generic, TypeVar

from fmnist_jax.errors import unknown_name

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name, in the order in which they were registered.

    **Attributes:**

    - `noun`: what an entry is, with its article, for errors: `"an optimizer"`.
    - `key`: the config key that names an entry, for errors: `"config.optimizer.name"`.
    - `entries`: name -> entry.
    """

    def __init__(self, noun: str, key: str) -> None:
        self.noun = noun
        self.key = key
        self.entries: dict[str, Entry] = {}
        self._built_in: frozenset[str] = frozenset()

    def register(self, name: str, entry: Entry) -> None:
        """Adds `entry`; raises `ValueError` where `name` is that of a built-in one.

        A user's own entry is replaced: a notebook cell or a config file may be run twice.
        """
        if name in self._built_in:
            raise ValueError(f"{self.noun} is registered as {name!r} already, and built in; choose another name")
        self.entries[name] = entry

    def protect(self) -> None:
        """Declares the entries so far built in: `register` then refuses their names."""
        self._built_in = frozenset(self.entries)

    def is_built_in(self, name: str) -> bool:
        """Whether the entry is not a user's."""
        return name in self._built_in

    def names(self) -> tuple[str, ...]:
        """Returns the registered names."""
        return tuple(self.entries)

    def get(self, name: str, key: str = "") -> Entry:
        """Returns the entry; raises `ConfigError` where there is none, naming `key` (by default `self.key`)."""
        if name not in self.entries:
            raise unknown_name(key or self.key, name, self.entries)
        return self.entries[name]
