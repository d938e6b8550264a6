"""The study's model 1: two convolutions, RMSProp, no dropout.

python scripts/train.py --config=configs/model1.py --workdir=runs/model1
"""

from ml_collections import ConfigDict

from fmnist_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "model1"
    config.optimizer.name = "rmsprop"
    return config
