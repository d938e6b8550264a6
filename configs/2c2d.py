"""The network and the tuned Adam of the benchmark DeepOBS (Schneider, Balles & Hennig 2019), problem fmnist_2c2d.

python scripts/train.py --config=configs/2c2d.py --workdir=runs/2c2d

An epoch takes 14 s on two cores, so the hundred under half an hour; they have not been run to the end. Expect 84 % on
the test images after the first.
"""

from ml_collections import ConfigDict

from fmnist_jax import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "2c2d"
    config.optimizer.name = "adam"
    config.optimizer.learning_rate = 2.5e-4
    config.train.batch_size = 128
    config.train.epochs = 100
    return config
