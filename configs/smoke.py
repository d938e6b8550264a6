"""A few seconds of training on the synthetic set: does everything work?

python scripts/train.py --config=configs/smoke.py --workdir=runs/smoke

Takes ten seconds on two cores, less once its programs are compiled, and ends at about 69 %.
"""

from ml_collections import ConfigDict

from fmnist_jax import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.data.name = "synthetic"
    config.data.val_examples = 2000
    config.model.name = "model1"
    config.train.epochs = 2
    config.train.score_test = True
    return config
