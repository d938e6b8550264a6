"""The parts of a report that tell what was run, and with what: warnings, hyperparameters, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from fmnist_jax.config import SCHEMA
from fmnist_jax.report.markup import Markup, element, join, markup
from fmnist_jax.report.page import banner, bullets, command, paragraphs, section, table

_LABELS = {
    "git_sha": "Commit",
    "started": "Started",
    "device": "Device",
    "seed": "Seed",
    "versions": "Versions",
    "data": "Data",
    "model": "Model",
    "optimizer": "Optimizer",
}


def data_banners(synthetic: bool, validation_is_test: bool) -> Markup:
    """Returns what the reader has to know of the data before any figure."""
    warnings = []
    if synthetic:
        text = "The program drew the images itself. No figure here says anything about Fashion-MNIST."
        warnings.append(banner("warning", "SYNTHETIC DATA.", text))
    if validation_is_test:
        text = (
            "The validation figures are the test set's, as in the reference study. The run chose nothing by them: it "
            "reports the weights of its last epoch. What you choose by them, they can no longer test."
        )
        warnings.append(banner("note", "Validation is the test set.", text))
    return join(*warnings)


def hyperparameters_section(config: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> Markup:
    """Returns the config with the meaning of each key; unset keys show what the optimizer took instead."""
    resolved = (manifest or {}).get("optimizer")
    rows = _config_rows(config, resolved if isinstance(resolved, Mapping) else {})
    left_out = "Keys that are not set, and that this optimizer does not take, are left out."
    header = ["Key", "Value", "Meaning"]
    return section("Hyperparameters", table("Hyperparameters", header, rows), paragraphs(left_out))


def notes_section(notes: list[str]) -> Markup:
    """Returns how the figures were computed."""
    return section("How the figures were computed", bullets(notes))


def provenance_section(manifest: Mapping[str, Any] | None) -> Markup:
    """Returns the command that makes the run again, and the code, the machine and the data that made it."""
    title = "Where it comes from"
    if manifest is None:
        missing = "manifest.json is missing, so the code, the machine and the data of this run are not on record."
        return section(title, paragraphs(missing))
    rows = [(_LABELS.get(key, key), _value(value)) for key, value in _shown(manifest)]
    return section(title, _remake(manifest), table("Provenance", ["What", "Record"], rows))


def _remake(manifest: Mapping[str, Any]) -> Markup:
    line = manifest.get("command")
    if not line:
        return paragraphs("The manifest does not name the command that made this run.")
    line = line if isinstance(line, str) else shlex.join(map(str, line))
    flag = element("code", "--workdir")
    again = join("To make the run again, check out the commit below and give this command a new ", flag, ":")
    dirty = "The working tree had changes that no commit holds, so the commit alone does not make the run again."
    warning = banner("warning", "Uncommitted changes.", dirty) if manifest.get("git_dirty") else ""
    return join(paragraphs(again), command(line), warning)


def _shown(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = [key for key in _LABELS if key in manifest]
    others = [key for key in manifest if key not in _LABELS and key not in ("command", "git_dirty")]
    yield from ((key, manifest[key]) for key in known + others)


def _value(value: Any) -> Markup:
    if isinstance(value, Mapping):
        return bullets(join(f"{key}: ", _value(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return join(*(join(", " if index else "", _value(inner)) for index, inner in enumerate(value)))
    return markup({None: "not recorded", True: "yes", False: "no"}.get(value, value) if _is_word(value) else value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _config_rows(config: Mapping[str, Any], resolved: Mapping[str, Any]) -> Iterator[tuple[Markup, object, str]]:
    order = {key: place for place, key in enumerate(SCHEMA)}
    for key, value in sorted(_leaves(config), key=lambda leaf: order.get(leaf[0], len(order))):
        section_name, _, leaf = key.rpartition(".")
        shown = str(value) or "not set"
        if value is None:
            if section_name != "optimizer" or leaf not in resolved:
                continue
            shown = f"{resolved[leaf]} (the optimizer's default)"
        yield element("span", key, class_="code"), shown, SCHEMA[key].help if key in SCHEMA else ""


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
