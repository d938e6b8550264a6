"""What every report tells of its origin: warnings about the data, the config, and how to reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from fmnist_jax.config.schema import Schema
from fmnist_jax.report.model import BulletList, Callout, Code, Command, Item, Section, Table

_LABELS = {
    "git_sha": "Commit",
    "started": "Started",
    "device": "Device",
    "seed": "Seed",
    "init_from": "Started from the weights of",
    "versions": "Versions",
    "data": "Data",
    "model": "Model",
    "optimizer": "Optimizer",
    "metrics": "Metrics",
    "models": "Parameters of each model",
    "arms": "Hyperparameters of each arm",
    "seeds": "Seeds",
}


def data_callouts(synthetic: bool, validation_is_test: bool) -> Iterator[Callout]:
    """Yields what the reader has to know about the data before any number."""
    if synthetic:
        text = "The program generated the images. These results say nothing about Fashion-MNIST."
        yield Callout("warning", "SYNTHETIC DATA.", text)
    if validation_is_test:
        text = (
            "Validation metrics are computed on the test set, as in the reference study. Nothing was selected by "
            "them here; the test set cannot confirm what you select by them."
        )
        yield Callout("note", "Validation is the test set.", text)


def config_table(config: Mapping[str, Any], schema: Schema, resolved: Mapping[str, Any]) -> Table:
    """Returns the table of the keys of `config` that are set, in the order of the schema, with their meaning.

    **Arguments:**

    - `resolved`: the optimizer's defaults, which stand in for the keys of the section `optimizer` that are not set.
    """
    order = {key: place for place, key in enumerate(schema)}
    rows = []
    for key, value in sorted(_leaves(config), key=lambda leaf: order.get(leaf[0], len(order))):
        section, _, leaf = key.rpartition(".")
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if value is None:
            if section != "optimizer" or leaf not in resolved:
                continue
            shown = f"{resolved[leaf]} (the optimizer's default)"
        rows.append((Code(key), shown or "not set", schema[key].help if key in schema else ""))
    return Table("Config", ["Key", "Value", "Meaning"], rows, numeric=False)


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def metric_direction(manifest: Mapping[str, Any] | None, key: str) -> str:
    """Returns `"higher is better"` or `"lower is better"` of a metric such as `"val_ece"`, `""` where unknown."""
    recorded = (manifest or {}).get("metrics")
    found = recorded.get(key.partition("_")[2]) if isinstance(recorded, Mapping) else None
    return str(found or "")


def loss_in_words(config: Mapping[str, Any]) -> str:
    """Returns the name of the loss in a sentence, as `"cross-entropy with label smoothing 0.1"`."""
    section = config.get("loss")
    section = section if isinstance(section, Mapping) else {}
    name, smoothing = section.get("name", "cross_entropy"), section.get("label_smoothing", 0)
    words = {"cross_entropy": "cross-entropy", "focal": "focal loss"}.get(str(name), str(name))
    return f"{words} with label smoothing {smoothing}" if smoothing else words


def reproducibility_section(manifest: Mapping[str, Any] | None, what: str) -> Section:
    """Returns the command that reproduces the run or the study (`what`), and the code, machine and data behind it."""
    if manifest is None:
        missing = f"manifest.json is missing, so the code, the machine and the data of this {what} are not recorded."
        return Section("Reproducibility", [missing])
    known = [key for key in _LABELS if key in manifest]
    others = [key for key in manifest if key not in _LABELS and key not in ("command", "git_dirty")]
    rows = [(_LABELS.get(key, key), _cell(manifest[key])) for key in known + others]
    record = Table("Provenance", ["What", "Record"], rows, numeric=False)
    return Section("Reproducibility", [*_command(manifest, what), record])


def _command(manifest: Mapping[str, Any], what: str) -> Iterator[Item]:
    line = manifest.get("command")
    if not line:
        yield f"The manifest does not record the command of this {what}."
        return
    yield f"To reproduce the {what}, check out the commit below and run this command with a new workdir:"
    yield Command(line if isinstance(line, str) else shlex.join(map(str, line)))
    if manifest.get("git_dirty"):
        text = f"The working tree had uncommitted changes: the commit alone does not reproduce the {what}."
        yield Callout("warning", "Uncommitted changes.", text)


def _cell(value: Any) -> str | BulletList:
    if not isinstance(value, Mapping):
        return _text(value)
    items: list[str | BulletList] = []
    for key, inner in value.items():
        items += [f"{key}:", _cell(inner)] if isinstance(inner, Mapping) else [f"{key}: {_text(inner)}"]
    return BulletList(items)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not recorded" if value is None else str(value)
