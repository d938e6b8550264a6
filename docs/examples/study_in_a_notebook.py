"""A study in a notebook: is one's own optimizer ahead of Adam after two epochs, on synthetic images?

Each `# %%` begins a cell: Jupyter, through Jupytext, and many an editor open this file as a notebook. As a script it
takes about a minute:

python docs/examples/study_in_a_notebook.py
"""

# %% One's own optimizer: its update, and its defaults and search space.
import csv
from pathlib import Path

import optax

from fmnist_jax import (
    Hyperparameter,
    Optimizer,
    compare_optimizers,
    register_optimizer,
    study_config,
    use_all_cores,
    write_study_report,
)

# As the scripts do. In a notebook, JAX sees one CPU device, and so uses one core, unless this comes first.
use_all_cores()


def signum(rate, weight_decay, momentum):
    """w -= rate sign(v), v = momentum v + g."""
    direction = optax.chain(optax.trace(momentum), optax.scale_by_sign())
    return optax.chain(direction, weight_decay, optax.scale_by_learning_rate(rate))


space = {"learning_rate": Hyperparameter(3e-4, 1e-6, 1e-2), "momentum": Hyperparameter(0.9, 0.5, 0.999, "log1m")}
register_optimizer("signum", Optimizer(signum, space, "Signum (Bernstein et al. 2018)"))

# %% On what, how often, and how it is scored.
config = study_config()
config.data.name = "synthetic"
config.data.val_examples = 2000
config.study.optimizers = ("adam", "signum")
config.study.models = ("model1",)
config.study.epochs = (2,)
config.study.seeds = 6  # the fewest that can show a difference between two
config.study.targets = (0.7, 0.8)

# %% Train. The same cell again goes on where it was stopped; once finished it trains nothing.
workdir = Path("runs/notebook")
print(compare_optimizers(config, workdir))

# %% The verdict with its intervals, tables and plots, as one page that opens from disk.
print("report:", write_study_report(workdir))

# %% The runs themselves.
with (workdir / "results.csv").open() as file:
    for run in csv.DictReader(file):
        print(f"{run['arm']:>28}  seed {run['seed']}  val accuracy {float(run['val_accuracy']):.2%}")
