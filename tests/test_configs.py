"""Every file in configs/ is valid, says how it is run, and is what golden_configs.json says it is.

Where a change is meant: `python tests/test_configs.py` writes golden_configs.json anew; its diff is the change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fmnist_jax import optimizers
from fmnist_jax.config import flatten
from fmnist_jax.config_file import read_config_file
from fmnist_jax.train.run import make_run
from fmnist_jax.train.state import member_of

FOLDER = Path(__file__).parent.parent / "configs"
GOLDEN = Path(__file__).with_name("golden_configs.json")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def resolved(name: str) -> dict[str, Any]:
    """The config's keys, sorted, those of the optimizer with its defaults filled in."""
    config = dict(flatten(read_config_file(FOLDER / f"{name}.py")))
    given = {key.removeprefix("optimizer."): config.pop(key) for key in list(config) if key.startswith("optimizer.")}
    optimizer = given.pop("name")
    numbers = optimizers.resolve(optimizer, given)
    config |= {"optimizer.name": optimizer} | {f"optimizer.{key}": value for key, value in numbers.items()}
    return dict(sorted(config.items()))


@pytest.mark.parametrize("name", NAMES)
def test_the_config_describes_a_run(name: str):
    config = read_config_file(FOLDER / f"{name}.py")
    assert config.is_locked
    member_of(config)
    make_run(config, 60_000)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_how_to_run_it(name: str):
    source = compile((FOLDER / f"{name}.py").read_text(), name, "exec")
    docstring = source.co_consts[0]
    assert f"\npython scripts/train.py --config=configs/{name}.py --workdir=runs/{name}\n" in docstring


def test_the_configs_are_the_golden_ones():
    found = {name: resolved(name) for name in NAMES}
    assert found == json.loads(GOLDEN.read_text()), "if this is meant: python tests/test_configs.py"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: resolved(name) for name in NAMES}, indent=2) + "\n")
