"""The study's model 2: model 1 with dropout and one more dense layer.

python scripts/train.py --config=configs/model2.py --workdir=runs/model2
"""

from ml_collections import ConfigDict

from fmnist_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "model2"
    config.optimizer.name = "rmsprop"
    return config
