"""The config of a run of `toy`'s network, for tests of scripts/train.py; set config.data.dir."""

import sys
from pathlib import Path

from ml_collections import ConfigDict

sys.path.append(str(Path(__file__).parent))
import toy


def get_config() -> ConfigDict:
    return toy.toy_config(data__val_examples=11, train__score_test=True)
