"""The study's model 4: model 3 trained by Adam.

python scripts/train.py --config=configs/model4.py --workdir=runs/model4
"""

from ml_collections import ConfigDict

from fmnist_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "model3"
    config.optimizer.name = "adam"
    return config
