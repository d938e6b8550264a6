"""`fmnist-jax compare`, from a checkout: python scripts/compare.py --help"""

from fmnist_jax.cli.command import run_script

if __name__ == "__main__":
    run_script("compare")
