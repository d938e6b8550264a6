"""`fmnist-jax calibrate`, from a checkout: python scripts/calibrate.py --help"""

from fmnist_jax.cli.command import run_script

if __name__ == "__main__":
    run_script("calibrate")
