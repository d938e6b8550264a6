"""Fourteen optimizers, each tuned by 16 trials over its own search space, then twelve fresh seeds of each; model 3.

python scripts/compare.py --config=configs/compare_optimizers.py --workdir=runs/compare_optimizers

392 runs of five epochs, 1,960 epochs: about three hours on two cores, where two runs go side by side and an epoch of
one takes some five seconds of the machine. It can be stopped and resumed at any time. All arms decay the rate by a
cosine; schedule-free methods, which are meant for a constant one, are left out. Trial 0 of each optimizer is its
defaults; trials are scored on 5,000 held-out training images, and the test set once, after the last epoch of the final
runs. Twelve seeds, since Holm's correction over 91 pairs takes p-values below 0.00055, and the smallest that the paired
test can give is 2 / 2^12. A fifteenth arm would take thirteen.
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
        "nadamw",
        "lion",
        "adan",
        "ademamix",
        "adopt",
        "prodigy",
        "muon",
        "soap",
    )
    config.study.models = ("model3",)
    config.study.epochs = (5,)
    config.study.schedules = ("cosine",)
    config.study.seeds = 12
    config.study.trials = 16
    config.study.targets = (0.88, 0.9, 0.91)
    config.study.score_test = True
    return config
