"""From a study's results to its figures: no jax, no training, only the files of its workdir."""
