"""`fmnist-jax reproduce`, from a checkout: python scripts/reproduce.py --help"""

from fmnist_jax.cli.command import run_script

if __name__ == "__main__":
    run_script("reproduce")
