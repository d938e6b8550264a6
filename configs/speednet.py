"""A fast network and recipe after airbench: Muon, label smoothing, mirrored and cropped images; ten epochs.

python scripts/train.py --config=configs/speednet.py --workdir=runs/speednet

Holds out 5,000 validation images.
"""

from ml_collections import ConfigDict

from fmnist_jax import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.data.val_examples = 5000
    config.augment.flip = "alternating"
    config.augment.translate = 2
    config.model.name = "speednet"
    config.optimizer.name = "muon"
    config.optimizer.learning_rate = 0.02
    config.optimizer.adam_learning_rate = 0.01
    config.optimizer.weight_decay = 0.5
    config.loss.label_smoothing = 0.1
    config.schedule.name = "linear"
    config.schedule.warmup = "5%"
    config.train.batch_size = 512
    config.train.epochs = 10
    return config
