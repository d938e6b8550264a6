"""Every file in configs/ is valid, says how it is run, and is what golden_configs.json says it is.

Where a change is meant: `python tests/test_configs.py` writes golden_configs.json anew; its diff is the change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fmnist_jax import optim
from fmnist_jax.compare.arms import parse_arms
from fmnist_jax.compare.config import SCHEMA, validate
from fmnist_jax.config.python_file import read_config_file
from fmnist_jax.config.schema import flatten
from fmnist_jax.train.run import make_run, member_of

FOLDER = Path(__file__).parent.parent / "configs"
GOLDEN = Path(__file__).with_name("golden_configs.json")
STUDIES = sorted(path.stem for path in FOLDER.glob("compare_*.py"))
NAMES = sorted({path.stem for path in FOLDER.glob("*.py")} - set(STUDIES))


def resolved(name: str) -> dict[str, Any]:
    """The config's keys, sorted, those of the optimizer with its defaults filled in, ready for JSON."""
    config = dict(flatten(read_config_file(FOLDER / f"{name}.py")))
    given = {key.removeprefix("optimizer."): config.pop(key) for key in list(config) if key.startswith("optimizer.")}
    optimizer = given.pop("name")
    numbers = optim.resolve(optimizer, given)
    config |= {"optimizer.name": optimizer} | {f"optimizer.{key}": value for key, value in numbers.items()}
    return json.loads(json.dumps(dict(sorted(config.items()))))


@pytest.mark.parametrize("name", NAMES)
def test_the_config_describes_a_run(name: str):
    config = read_config_file(FOLDER / f"{name}.py")
    assert config.is_locked
    member_of(config)
    make_run(config, 60_000)


def resolved_study(name: str) -> dict[str, Any]:
    """The study's keys that are set, sorted, and the hyperparameters of its arms, ready for JSON."""
    config = read_config_file(FOLDER / f"{name}.py", SCHEMA)
    values = {key: value for key, value in flatten(config) if value is not None}
    tuned = config.study.mode == "tuned"
    values["arms"] = {arm.name: arm.defaults() for arm in parse_arms(config.study.optimizers, tuned=tuned)}
    return json.loads(json.dumps(dict(sorted(values.items()))))


@pytest.mark.parametrize("name", STUDIES)
def test_the_config_describes_a_study(name: str):
    config = read_config_file(FOLDER / f"{name}.py", SCHEMA)
    assert config.is_locked
    validate(config)


@pytest.mark.parametrize("name", NAMES + STUDIES)
def test_the_docstring_says_how_to_run_it(name: str):
    source = compile((FOLDER / f"{name}.py").read_text(), name, "exec")
    docstring = source.co_consts[0]
    script = "compare" if name in STUDIES else "train"
    assert f"\npython scripts/{script}.py --config=configs/{name}.py --workdir=runs/{name}\n" in docstring


def found() -> dict[str, Any]:
    return {name: resolved(name) for name in NAMES} | {name: resolved_study(name) for name in STUDIES}


def test_the_configs_are_the_golden_ones():
    assert found() == json.loads(GOLDEN.read_text()), "if this is meant: python tests/test_configs.py"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(found(), indent=2) + "\n")
