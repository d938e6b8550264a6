"""`fmnist-jax record`, from a checkout: python scripts/record.py --help"""

from fmnist_jax.cli.command import run_script

if __name__ == "__main__":
    run_script("record")
