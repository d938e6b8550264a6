"""An optimizer of one's own, Signum (Bernstein et al. 2018), against Adam: both tuned by as many trials.

python scripts/compare.py --config=docs/examples/my_optimizer.py --workdir=runs/my_optimizer
"""

import optax
from ml_collections import ConfigDict

from fmnist_jax import Hyperparameter, Optimizer, register_optimizer, study_config


def signum(rate, weight_decay, momentum):
    """w -= rate sign(v), v = momentum v + g."""
    direction = optax.chain(optax.trace(momentum), optax.scale_by_sign())
    return optax.chain(direction, weight_decay, optax.scale_by_learning_rate(rate))


space = {
    "learning_rate": Hyperparameter(1e-4, low=1e-6, high=1e-2),
    "momentum": Hyperparameter(0.9, low=0.5, high=0.999, scale="log1m"),
}
register_optimizer("my_optimizer", Optimizer(signum, space, "Signum (Bernstein et al. 2018)"))


def get_config() -> ConfigDict:
    """Returns the config of the study."""
    config = study_config()
    config.data.val_examples = 5000
    config.study.mode = "tuned"
    config.study.optimizers = ("my_optimizer", "adam")
    config.study.models = ("model3",)
    config.study.epochs = (5,)
    config.study.trials = 10
    config.study.seeds = 5
    config.study.score_test = True
    return config
