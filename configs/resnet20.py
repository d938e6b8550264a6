"""A pre-activation ResNet of 20 layers, with the momentum, decay and cosine schedule that such networks are trained by.

python scripts/train.py --config=configs/resnet20.py --workdir=runs/resnet20

Ten epochs, mirrored and randomly cropped images; meant for an accelerator. Holds out 5,000 validation images.
"""

from ml_collections import ConfigDict

from fmnist_jax import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.data.val_examples = 5000
    config.augment.flip = "alternating"
    config.augment.translate = 2
    config.model.name = "resnet20"
    config.optimizer.name = "nesterov"
    config.optimizer.learning_rate = 0.1
    config.optimizer.weight_decay = 5e-3
    config.schedule.name = "cosine"
    config.schedule.warmup = "5%"
    config.train.batch_size = 128
    return config
