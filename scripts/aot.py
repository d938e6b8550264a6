"""`fmnist-jax aot`, from a checkout: python scripts/aot.py --help"""

from fmnist_jax.cli.command import run_script

if __name__ == "__main__":
    run_script("aot")
