"""The study's model 3: three convolutions, dropout, RMSProp.

python scripts/train.py --config=configs/model3.py --workdir=runs/model3
"""

from ml_collections import ConfigDict

from fmnist_jax.config import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "model3"
    config.optimizer.name = "rmsprop"
    return config
