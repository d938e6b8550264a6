"""An augmentation of one's own, a gamma and a brightness drawn for each image, beside built-in ones.

    python scripts/train.py --config=docs/examples/my_augmentation.py --workdir=runs/my_augmentation

The report's section "Augmentation" shows what the network sees.
"""

import jax

from fmnist_jax import default_config, register_augmentation


def jitter(image, key):
    """Raises pixels to a power of 0.8 to 1.2 and multiplies them by another such number; black stays black."""
    gamma, brightness = jax.random.uniform(key, (2,), minval=0.8, maxval=1.2)
    return (image**gamma * brightness).clip(0, 1)


register_augmentation("jitter", jitter)


def get_config():
    """Returns the config of a run."""
    config = default_config()
    config.augment.flip = "alternating"
    config.augment.translate = 2
    config.augment.translate_padding = "reflect"
    config.augment.custom = ("jitter",)
    config.eval.tta = "flip"
    return config
