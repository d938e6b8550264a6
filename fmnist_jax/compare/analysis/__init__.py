"""The figures of a study, computed from the files of its workdir alone, without jax."""
