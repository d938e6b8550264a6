"""The parts of a report that tell what was run, and with what: warnings, hyperparameters, provenance."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from fmnist_jax.config.schema import SCHEMA, Schema
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
    "models": "Parameters of each model",
    "arms": "Arms, at their given settings",
    "seeds": "Seeds",
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
    shown = config_table("Hyperparameters", config, SCHEMA, resolved if isinstance(resolved, Mapping) else {})
    left_out = "Keys that are not set, and that this optimizer does not take, are left out."
    return section("Hyperparameters", shown, paragraphs(left_out))


def config_table(name: str, config: Mapping[str, Any], schema: Schema, resolved: Mapping[str, Any]) -> Markup:
    """Returns the table of the keys of `config` that are set, in the order of the schema, with their meaning.

    **Arguments:**

    - `resolved`: what the keys of the section `optimizer` that are not set stand for.
    """
    return table(name, ["Key", "Value", "Meaning"], _config_rows(config, schema, resolved))


def notes_section(notes: list[str]) -> Markup:
    """Returns how the figures were computed."""
    return section("How the figures were computed", bullets(notes))


def provenance_section(manifest: Mapping[str, Any] | None, what: str = "run") -> Markup:
    """Returns the command that makes it again, and the code, the machine and the data; `what` it is in a word."""
    title = "Where it comes from"
    if manifest is None:
        missing = f"manifest.json is missing, so the code, the machine and the data of this {what} are not on record."
        return section(title, paragraphs(missing))
    rows = [(label, _value(value)) for label, value in provenance(manifest)]
    return section(title, _remake(manifest, what), table("Provenance", ["What", "Record"], rows))


def provenance(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns the records of a manifest but for the command, each with its name, in the order in which to read them."""
    known = [key for key in _LABELS if key in manifest]
    others = [key for key in manifest if key not in _LABELS and key not in ("command", "git_dirty")]
    return [(_LABELS.get(key, key), manifest[key]) for key in known + others]


def command_line(manifest: Mapping[str, Any]) -> str | None:
    """Returns the command that the manifest names, `None` where it names none."""
    line = manifest.get("command")
    if not line:
        return None
    return line if isinstance(line, str) else shlex.join(map(str, line))


def _remake(manifest: Mapping[str, Any], what: str) -> Markup:
    line = command_line(manifest)
    if line is None:
        return paragraphs(f"The manifest does not name the command that made this {what}.")
    flag = element("code", "--workdir")
    again = join(f"To make the {what} again, check out the commit below and give this command a new ", flag, ":")
    dirty = f"The working tree had changes that no commit holds, so the commit alone does not make the {what} again."
    warning = banner("warning", "Uncommitted changes.", dirty) if manifest.get("git_dirty") else ""
    return join(paragraphs(again), command(line), warning)


def _value(value: Any) -> Markup:
    if isinstance(value, Mapping):
        return bullets(join(f"{key}: ", _value(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return join(*(join(", " if index else "", _value(inner)) for index, inner in enumerate(value)))
    return markup({None: "not recorded", True: "yes", False: "no"}.get(value, value) if _is_word(value) else value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _config_rows(
    config: Mapping[str, Any], schema: Schema, resolved: Mapping[str, Any]
) -> Iterator[tuple[Markup, object, str]]:
    order = {key: place for place, key in enumerate(schema)}
    for key, value in sorted(_leaves(config), key=lambda leaf: order.get(leaf[0], len(order))):
        section_name, _, leaf = key.rpartition(".")
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if value is None:
            if section_name != "optimizer" or leaf not in resolved:
                continue
            shown = f"{resolved[leaf]} (the optimizer's default)"
        yield element("span", key, class_="code"), shown or "not set", schema[key].help if key in schema else ""


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
