"""Four optimizers at their default settings, three seeds each, on the study's model 3: which is ahead after 3 epochs?

python scripts/compare.py --config=configs/compare_quick.py --workdir=runs/compare_quick

Takes five minutes on two cores, nine tenths of it training. Nothing is tuned: it compares the optimizers' customary
settings. Three seeds show by how much they scatter and how many more it takes, not yet which of four optimizers is
better: that takes eight, --config.study.seeds=8. Expect 87 to 88 % on the test images after three epochs, and momentum,
at its default rate of 0.01, some 6 points behind the others.
"""

from ml_collections import ConfigDict

from fmnist_jax import study_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = study_config()
    config.data.val_examples = 5000
    config.study.optimizers = ("rmsprop", "adam", "nadam", "momentum")
    config.study.models = ("model3",)
    config.study.epochs = (3,)
    config.study.seeds = 3
    config.study.targets = (0.8, 0.85, 0.88)
    config.study.score_test = True
    return config
