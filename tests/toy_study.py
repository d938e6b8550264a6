"""The config of a tuned study of a network that compiles and trains in no time, for tests of scripts/compare.py."""

import sys
from pathlib import Path

from ml_collections import ConfigDict

from fmnist_jax.compare.config import study_config

sys.path.append(str(Path(__file__).parent))
import toy


def get_config() -> ConfigDict:
    config = study_config()
    config.data.name = "csv"
    config.data.val_examples = 11
    config.train.batch_size = toy.BATCH
    config.study.mode = "tuned"
    config.study.models = ("linear",)
    config.study.epochs = (2,)
    config.study.seeds, config.study.trials = 3, 3
    config.study.score_test = True
    return config
