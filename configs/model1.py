"""The study's model 1: two convolutions, RMSProp, no dropout.

python scripts/train.py --config=configs/model1.py --workdir=runs/model1

Trains for about 40 seconds on two cores, as docs/benchmarks/benchmark.md has it. Expect 88.9% on the test images, on
which it validates as the study did: 88.91% with a standard deviation of 0.45 points over five seeds, where the study
had 88.98%; docs/benchmarks/reference.md has all figures.
"""

from ml_collections import ConfigDict

from fmnist_jax import default_config


def get_config() -> ConfigDict:
    """Returns the config."""
    config = default_config()
    config.model.name = "model1"
    config.optimizer.name = "rmsprop"
    return config
