"""What processes do together: each writes what it found to a file; `test_processes.py` runs this in several.

python tests/on_processes.py --coordinator_address=... --num_processes=... --process_id=... FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import numpy as np
import toy
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from test_population import DATASET

from fmnist_jax.runtime import processes
from fmnist_jax.train.population import Population
from fmnist_jax.train.sharded import DataParallelRun


def main(address: str, number: str, index: str, folder: str) -> None:
    processes.initialize(address, int(number), int(index))
    sharding = NamedSharding(Mesh(np.asarray(jax.devices()), ("all",)), PartitionSpec("all"))
    found = {
        "gathered": processes.gather("x" * jax.process_index()),
        "fetched": processes.fetch(processes.put(np.arange(8), sharding)).tolist(),
        "population": _population(),
    }
    Path(folder, f"{index}-of-{number}.json").write_text(json.dumps(found))
    processes.finish()


def _population() -> dict[str, object]:
    config = toy.toy_config(model__name="linear")
    population = Population(config, DATASET, executor="vmap")
    member = jax.device_get(DataParallelRun(config, toy.TRAIN, jax.devices()).member)
    outcome = population.train([member._replace(seed=np.uint32(seed)) for seed in range(6)], score_test=True)
    losses = [[record["val_loss"] for record in history] for history in outcome.histories]
    return {"chunks": population.chunks(6), "device": outcome.device, "losses": losses}


if __name__ == "__main__":
    main(*(argument.rpartition("=")[2] for argument in sys.argv[1:]))
