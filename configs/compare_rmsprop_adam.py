"""The reference study's claim: on model 3, rmsprop (0.9081) is ahead of Adam (0.9013). Does it hold, over ten seeds?

python scripts/compare.py --config=configs/compare_rmsprop_adam.py --workdir=runs/compare_rmsprop_adam

As in that study: Keras's default settings, 60,000 training images, ten epochs, and validation on the test set, by which
nothing is chosen here. Takes twenty minutes on two cores; docs/studies/rmsprop_adam is its outcome: the two cannot be
told apart, and the claimed lead of 0.68 points lies outside the interval.
"""

from ml_collections import ConfigDict

from fmnist_jax import study_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = study_config()
    config.study.optimizers = ("rmsprop", "adam")
    config.study.models = ("model3",)
    config.study.epochs = (10,)
    config.study.seeds = 10
    config.study.targets = (0.85, 0.88, 0.9)
    return config
