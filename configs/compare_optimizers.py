"""Ten optimizers, each tuned by 20 trials over its own search space, then twelve fresh seeds of each; model 3.

python scripts/compare.py --config=configs/compare_optimizers.py --workdir=runs/compare_optimizers

Meant for an accelerator: it is 320 runs of ten epochs. Trial 0 of each optimizer is its defaults; trials are scored on
5,000 validation images, and the test set once, after the last epoch of the final runs. Twelve seeds, since with ten the
smallest p-value that the paired test can give, 2 / 2^10, would not survive Holm's correction over 45 pairs.
"""

from ml_collections import ConfigDict

from fmnist_jax import study_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = study_config()
    config.data.val_examples = 5000
    config.study.mode = "tuned"
    config.study.optimizers = (
        "sgd",
        "momentum",
        "nesterov",
        "rmsprop",
        "adam",
        "adamw",
        "nadam",
        "lion",
        "muon",
        "schedule-free-adamw",
    )
    config.study.models = ("model3",)
    config.study.epochs = (10,)
    config.study.seeds = 12
    config.study.trials = 20
    config.study.targets = (0.88, 0.9, 0.91)
    config.study.score_test = True
    return config
