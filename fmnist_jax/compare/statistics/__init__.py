"""Statistics of a comparison over seeds: numpy and scipy alone. docs/statistics says what to trust, and how far.

Scores are higher-is-better, one for each run, failures included as the caller counts them.
"""

from fmnist_jax.compare.statistics.boundary import AtEdge, at_edges
from fmnist_jax.compare.statistics.comparison import Comparison, PairedComparison, compare_arms
from fmnist_jax.compare.statistics.estimates import Estimate, iqm, mean, median
from fmnist_jax.compare.statistics.multiplicity import holm
from fmnist_jax.compare.statistics.pairs import paired_difference
from fmnist_jax.compare.statistics.permutation import least_pairs, sign_flip_test, smallest_p
from fmnist_jax.compare.statistics.power import minimum_detectable_difference, seeds_needed
from fmnist_jax.compare.statistics.profiles import Profile, performance_profile
from fmnist_jax.compare.statistics.sampling import sampling_uncertainty
from fmnist_jax.compare.statistics.sensitivity import Sensitivity, learning_rate_sensitivity
from fmnist_jax.compare.statistics.superiority import paired_probability_of_improvement, probability_of_improvement
from fmnist_jax.compare.statistics.survival import (
    ReachedCurve,
    Times,
    as_times,
    kaplan_meier,
    log_rank,
    median_time,
    restricted_mean,
    time_to_target,
)
from fmnist_jax.compare.statistics.tuning import TuningCurve, expected_best
from fmnist_jax.compare.statistics.verdict import Verdict

__all__ = [
    "AtEdge",
    "Comparison",
    "Estimate",
    "PairedComparison",
    "Profile",
    "ReachedCurve",
    "Sensitivity",
    "Times",
    "TuningCurve",
    "Verdict",
    "as_times",
    "at_edges",
    "compare_arms",
    "expected_best",
    "holm",
    "iqm",
    "kaplan_meier",
    "learning_rate_sensitivity",
    "least_pairs",
    "log_rank",
    "mean",
    "median",
    "median_time",
    "minimum_detectable_difference",
    "paired_difference",
    "paired_probability_of_improvement",
    "performance_profile",
    "probability_of_improvement",
    "restricted_mean",
    "sampling_uncertainty",
    "seeds_needed",
    "sign_flip_test",
    "smallest_p",
    "time_to_target",
]
