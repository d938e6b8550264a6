"""DeepOBS's problem fmnist_2c2d with SGD, Momentum and Adam at the settings that its authors tuned for it.

python scripts/compare.py --config=configs/compare_2c2d.py --workdir=runs/compare_2c2d

Two of DeepOBS's 100 epochs and eight of its ten seeds (Schneider, Balles & Hennig 2019): 48 epochs, which two cores can
pay. The whole of it, for an accelerator: --config.study.epochs=100 --config.study.seeds=10. The settings were tuned for
100 epochs, and on the test set, on which this validates as well. docs/studies/2c2d is the outcome after one epoch
(--config.study.epochs=1): the three cannot be told apart yet.
"""

from ml_collections import ConfigDict

from fmnist_jax import study_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = study_config()
    config.train.batch_size = 128
    config.study.optimizers = (
        "sgd:learning_rate=0.158",
        "momentum:learning_rate=2.5e-3,momentum=0.99",
        "adam:learning_rate=2.5e-4,eps=1e-8",
    )
    config.study.models = ("2c2d",)
    config.study.epochs = (2,)
    config.study.seeds = 8
    config.study.targets = (0.85, 0.88, 0.9)
    return config
